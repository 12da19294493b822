//! What a handler asks for, taken in the order of its arguments.
//!
//! actix waits for all arguments at once, and answers with the first that fails. A token whose key must be fetched would
//! then be judged after the query and the body, and a stranger would be told what is wrong with them.

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

/// The arguments of a handler; none is waited for, or can refuse the request, before those in front of it are there.
pub struct InOrder<Args>(pub(super) Args);

macro_rules! in_order {
    ($(($($name:ident $part:ident),*))*) => {$(
        impl<$($part: FromRequest + 'static),*> FromRequest for InOrder<($($part,)*)> {
            type Error = Error;
            type Future = LocalBoxFuture<'static, Result<Self, Error>>;

            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                $(let $name = $part::from_request(request, payload);)*
                Box::pin(async move { Ok(Self(($($name.await.map_err(Into::into)?,)*))) })
            }
        }
    )*};
}

in_order! {
    (a A)
    (a A, b B)
    (a A, b B, c C)
    (a A, b B, c C, d D)
    (a A, b B, c C, d D, e E)
    (a A, b B, c C, d D, e E, f F)
}
