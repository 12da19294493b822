//! The points that are laid, and whether somebody came there.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::point::{Point, Side};
use crate::eventually;

/// A point that is laid. Until this value goes, each connection that comes to the point is stopped, for good.
#[derive(Debug)]
pub struct Laid {
    id: u64,
    reached: watch::Receiver<bool>,
    all: Points,
}

impl Laid {
    /// Waits until a connection was stopped there.
    ///
    /// # Panics
    /// When none was at the deadline, naming the caller's line.
    #[track_caller]
    pub fn reached(&self, deadline: Duration) -> impl Future<Output = ()> {
        eventually(deadline, async || *self.reached.borrow())
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        self.all.0.lock().laid.retain(|one| one.id != self.id);
    }
}

/// All that are laid on the way to one server.
#[derive(Debug, Clone, Default)]
pub(super) struct Points(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    next: u64,
    laid: Vec<One>,
}

#[derive(Debug)]
struct One {
    id: u64,
    point: Point,
    /// Whether the request that it comes behind has not been seen yet.
    waits: bool,
    reached: watch::Sender<bool>,
}

/// A request that stands at a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) id: u64,
    pub(super) side: Side,
}

impl Points {
    pub(super) fn lay(&self, point: Point) -> Laid {
        let (reached, seen) = watch::channel(false);
        let mut all = self.0.lock();
        let id = all.next;
        all.next += 1;
        all.laid.push(One {
            id,
            waits: point.waits(),
            point,
            reached,
        });
        Laid {
            id,
            reached: seen,
            all: self.clone(),
        }
    }

    /// At which point a request stands, if at any. Points that come behind this request are open from now on.
    pub(super) fn hit(&self, request: &str) -> Option<Hit> {
        if request.is_empty() {
            return None;
        }
        let mut all = self.0.lock();
        let (waiting, open): (Vec<_>, Vec<_>) = all.laid.iter_mut().partition(|one| one.waits);
        for one in waiting {
            one.waits = !one.point.waits_for(request);
        }
        let one = open.into_iter().find(|one| one.point.is_for(request))?;
        Some(Hit {
            id: one.id,
            side: one.point.side,
        })
    }

    /// Notes that a connection was stopped at this point.
    pub(super) fn reach(&self, id: u64) {
        let all = self.0.lock();
        for one in all.laid.iter().filter(|one| one.id == id) {
            one.reached.send_replace(true);
        }
    }
}
