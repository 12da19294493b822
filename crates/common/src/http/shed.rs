//! Refuses, before anything is done for it, what could only be served too late.
//!
//! Each route stands behind the concurrency limit of its lane: reads, writes, and what hashes a password, which takes
//! some hundred times as long and must not be taken for a queue of the others. A request that is refused costs
//! no body, no token check and no handler: 503 with `Retry-After`, at once. The place of one that is let in is free again
//! as soon as its answer begins, so that a stream holds none.
//!
//! Health is answered on a port of its own, which has no such limit.

use std::sync::Arc;
use std::time::Instant;

use strum::{EnumIter, IntoEnumIterator};
use tracing::Span;

use super::{Problem, kinds};
use crate::config::Overload;
use crate::limits::Class;
use crate::resilience::{ConcurrencyLimit, ConcurrencyOptions, InFlight, Priority};
use crate::telemetry::Metrics;

/// What shares one limit, because it takes about as long and waits for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
enum Lane {
    Reads,
    Writes,
    Passwords,
}

impl Lane {
    const fn of(class: Class) -> Self {
        match class {
            Class::Read | Class::Public => Self::Reads,
            Class::Write | Class::Callback | Class::Mail => Self::Writes,
            Class::Login | Class::SignUp => Self::Passwords,
        }
    }

    /// What takes longer gets fewer places: with as many as the reads have, its queue would last many times as long.
    const fn most(self, of_reads: usize) -> usize {
        match self {
            Self::Reads => of_reads,
            Self::Writes => of_reads / 4,
            Self::Passwords => of_reads / 8,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Passwords => "passwords",
        }
    }
}

/// The limits of one service. Cheap to clone; all its workers share them.
#[derive(Clone)]
pub(super) struct Shedder {
    limits: Arc<[(Lane, Arc<ConcurrencyLimit>)]>,
    metrics: Metrics,
}

/// What stands before one operation.
pub(super) struct Gate {
    limit: Arc<ConcurrencyLimit>,
    operation: usize,
    priority: Priority,
    metrics: Metrics,
}

impl Shedder {
    /// The limits for a table of so many operations, shown in `metrics`.
    pub(super) fn new(settings: Overload, operations: usize, metrics: Metrics) -> Self {
        let limit = |lane: Lane| {
            let options = ConcurrencyOptions {
                least: settings.least,
                most: lane.most(settings.most),
            };
            (lane, ConcurrencyLimit::new(options, operations, Instant::now()))
        };
        let limits: Arc<[_]> = Lane::iter().map(limit).collect();
        for priority in Priority::ALL {
            metrics.sheds(priority.label());
        }
        let shown = Arc::clone(&limits);
        metrics.at_each_reading(move |metrics| {
            for (lane, limit) in &*shown {
                metrics.concurrency(lane.label(), limit.limit(Instant::now()), limit.in_flight());
            }
        });
        Self { limits, metrics }
    }

    /// What stands before the operation with this number.
    pub(super) fn gate(&self, operation: usize, (class, priority): (Class, Priority)) -> Option<Gate> {
        let lane = Lane::of(class);
        let (_, limit) = self.limits.iter().find(|(own, _)| *own == lane)?;
        Some(Gate {
            limit: Arc::clone(limit),
            operation,
            priority,
            metrics: self.metrics.clone(),
        })
    }
}

impl Gate {
    /// Takes a place, which is free again when it is dropped; otherwise says when to come again.
    pub(super) fn admit(&self, now: Instant) -> Result<InFlight, Problem> {
        self.limit
            .admit(self.priority, self.operation, now)
            .map_err(|overloaded| {
                self.metrics.request_shed(self.priority.label());
                Span::current().record("waypost.shed.priority", self.priority.label());
                Problem::new(&kinds::OVERLOADED).retry_after(overloaded.retry_after)
            })
    }

    /// Takes a place again for a request that left its own, whatever the limit.
    pub(super) fn admit_again(&self, now: Instant) -> InFlight {
        self.limit.admit_again(self.operation, now)
    }
}
