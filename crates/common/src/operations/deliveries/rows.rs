//! The rows of deliveries in the operations API of a service that sends.

use super::cancel::cancel_delivery;
use super::list::list_deliveries;
use super::resend::resend_delivery;
use super::retry_all::retry_deliveries_now;
use super::retry_now::retry_delivery_now;
use crate::http::{Class, Endpoint};

/// The rows that every service has that sends.
pub(crate) fn rows() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/operations/deliveries").get(
            Class::Read,
            "List deliveries with what was exchanged about each, the newest first",
            list_deliveries,
        ),
        Endpoint::at("/operations/deliveries/retry-now").post(
            Class::Write,
            "Make deliveries that wait due at once",
            retry_deliveries_now,
        ),
        Endpoint::at("/operations/deliveries/{id}/retry-now").post(
            Class::Write,
            "Let a delivery through at once, as the probe of a destination that rests",
            retry_delivery_now,
        ),
        Endpoint::at("/operations/deliveries/{id}/cancel").post(
            Class::Write,
            "Take a delivery back that waits",
            cancel_delivery,
        ),
        Endpoint::at("/operations/deliveries/{id}/resend").post(
            Class::Write,
            "Send once more what has ended, as a new delivery",
            resend_delivery,
        ),
    ]
}
