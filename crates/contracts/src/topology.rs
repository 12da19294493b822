//! Message types, exchanges and queues: the one place that lists them.
//!
//! Every process declares all of it, all services' queues included, before it publishes: an event
//! must find its queue even when the service that reads it has never run.
//!
//! Two ways lead from the events exchange to each queue, and a message that takes both arrives once: through the
//! queue's own exchange, `<queue>.in`, which notices that the queue is missing and sets the message aside in
//! [`UNROUTED`]; and directly, so that no single exchange or binding that is deleted costs an event.

use std::time::Duration;

use crate::EventData;
use crate::events::{Described, EmailSent, UserRegistered, UserUpdated};

/// Every message type, and the service that writes it.
pub const TYPES: &[Described] = &[
    Described::of::<UserRegistered>("user-api"),
    Described::of::<UserUpdated>("user-api"),
    Described::of::<EmailSent>("email-worker"),
];

/// Topic exchange that every event goes to; the routing key is the event's type.
pub const EVENTS_EXCHANGE: &str = "waypost.events";
/// Direct exchange to the dead-letter queues; the routing key is the name of the work queue.
pub const DEAD_EXCHANGE: &str = "waypost.dead";
/// Fanout exchange, and its one bounded queue, for events that nobody binds or whose queue is missing.
pub const UNROUTED: &str = "waypost.unrouted";
/// For how long [`UNROUTED`] keeps an event to be seen. A copy that is moved to its queue by hand may come this late.
pub const UNROUTED_FOR: Duration = Duration::from_hours(7 * 24);

/// Direct exchange for signs of life between the processes of one service; the routing key is the service. Nothing keeps
/// what goes through it.
pub const SIGNS_EXCHANGE: &str = "waypost.signs";

/// A consumer's work queue. Its dead-letter and delay queues derive from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Name without the namespace: `<service>.<purpose>`.
    pub name: &'static str,
    /// Types that the events exchange routes here.
    pub bindings: &'static [&'static str],
}

/// What email-worker reads.
pub const EMAIL_WORKER_EVENTS: Queue = Queue {
    name: "email-worker.events",
    bindings: &[UserRegistered::TYPE],
};

/// What notification-gateway reads.
pub const GATEWAY_EVENTS: Queue = Queue {
    name: "notification-gateway.events",
    bindings: &[UserRegistered::TYPE, UserUpdated::TYPE, EmailSent::TYPE],
};

/// Every work queue of the system.
pub const QUEUES: &[Queue] = &[EMAIL_WORKER_EVENTS, GATEWAY_EVENTS];
