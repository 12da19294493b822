//! The place of a request, for an operation that waits for somebody outside.

use std::future::{Future, Ready, ready};
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::Problem;
use super::describe::{Describe, OperationDoc};
use super::held_place::HeldPlace;

/// The place that a request has among those under way, where its operation has a limit of them and is no read.
pub struct Place(Option<HeldPlace>);

impl Place {
    /// Waits for what loads nothing here, such as the answer of somebody outside, and leaves the place to others meanwhile.
    ///
    /// Otherwise the limit would take the wait for a queue, and refuse others for it. The request has a place again
    /// afterwards, however many came; so bound elsewhere how many wait at a time.
    ///
    /// # Cancel safety
    /// May be dropped: the place is free then.
    pub async fn leave_while<T>(&self, awaited: impl Future<Output = T>) -> T {
        let Some(place) = &self.0 else {
            return awaited.await;
        };
        place.leave();
        let done = awaited.await;
        place.come_back(Instant::now());
        done
    }
}

impl FromRequest for Place {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.extensions().get().cloned())))
    }
}

impl Describe for Place {
    /// It is nothing that a caller sends.
    fn describe(_: &mut OperationDoc) {}
}
