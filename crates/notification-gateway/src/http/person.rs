//! Who asks.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use common::http::bearer::{Claims, token_of};
use common::http::{Problem, kinds};
use serde::Deserialize;
use uuid::Uuid;

use super::Surface;

/// A person with a good token in the `Authorization` header.
pub(super) struct Person {
    pub(super) id: Uuid,
}

/// The same for a stream: a browser's `EventSource` can't set headers, so the token may stand in the query.
pub(super) struct StreamPerson {
    pub(super) claims: Claims,
}

#[derive(Deserialize)]
struct TokenQuery {
    access_token: String,
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for Person {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = token_of(request).map(str::to_owned);
        let surface = request.app_data::<Data<Surface>>().cloned();
        Box::pin(async move { verify(surface, token?).await.map(|claims| Self { id: claims.sub }) })
    }
}

impl FromRequest for StreamPerson {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = token_of(request).map(str::to_owned).or_else(|missing| {
            let query = serde_urlencoded::from_str::<TokenQuery>(request.query_string());
            query.map(|query| query.access_token).map_err(|_| missing)
        });
        let surface = request.app_data::<Data<Surface>>().cloned();
        Box::pin(async move { verify(surface, token?).await.map(|claims| Self { claims }) })
    }
}

async fn verify(surface: Option<Data<Surface>>, token: String) -> Result<Claims, Problem> {
    let surface = surface.ok_or_else(|| Problem::new(&kinds::INTERNAL))?;
    surface.keys.verify(&token).await
}
