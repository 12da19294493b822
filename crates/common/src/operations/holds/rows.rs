//! The rows of holds in the operations API of a service that sends.

use super::end::end_hold;
use super::list::list_holds;
use super::put::hold;
use crate::http::{Class, Endpoint};

/// The rows that every service has that sends.
pub(crate) fn rows() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/operations/holds").get(Class::Read, "List the destinations that are held", list_holds),
        Endpoint::at("/operations/holds/{destination}")
            .put(Class::Write, "Leave a destination alone for a time", hold)
            .delete(Class::Write, "End a hold", end_hold),
    ]
}
