//! mq-6, a solution: what can't pass is set aside, what may pass waits longer each time, and what is the worker's own
//! trouble costs no attempt.

use std::time::Duration;

use crate::exercises::mq::poison::{Decides, Failure, Fate};

/// The delay queues, in order.
const WAITS: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(10),
    Duration::from_hours(1),
];

pub(crate) struct Next;

impl Decides for Next {
    fn after(failure: Failure, attempt: u32) -> Fate {
        let wait = usize::try_from(attempt - 1).ok().and_then(|past| WAITS.get(past));
        match (failure, wait) {
            (Failure::Unreadable, _) | (Failure::Failed, None) => Fate::Dead,
            (Failure::Failed, Some(&after)) => Fate::Later {
                after,
                attempt: attempt + 1,
            },
            // The same attempt once more.
            (Failure::OwnDatabase, _) => Fate::Later {
                after: WAITS[0],
                attempt,
            },
        }
    }
}
