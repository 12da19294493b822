//! What stands on the broker: every exchange, queue and binding, with its arguments.

use std::time::Duration;

use contracts::topology::{QUEUES, Queue, UNROUTED_FOR};
use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};

use super::names::Names;

/// A message that was handed out and not settled so often is set aside by the broker. It guards against crashes only:
/// every message that a lost consumer had prefetched counts a delivery, worked on or not.
const DELIVERY_LIMIT: i64 = 20;
/// For queues whose messages are looked at: each look gives them back, which counts a delivery, and must never cost one.
const NO_DELIVERY_LIMIT: i64 = 1_000_000;
/// How many events that nobody binds are kept at most, and for [`UNROUTED_FOR`], so that somebody can see them.
const MAX_UNROUTED: i64 = 10_000;

/// A durable exchange.
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) kind: ExchangeKind,
    pub(super) arguments: FieldTable,
}

/// A quorum queue.
pub(super) struct DeclaredQueue {
    pub(super) name: String,
    pub(super) arguments: FieldTable,
}

/// Routes from an exchange, by a routing key, to a queue or another exchange.
pub(super) struct Binding {
    pub(super) from: String,
    pub(super) key: String,
    pub(super) to: Target,
}

/// What a binding leads to.
pub(super) enum Target {
    Exchange(String),
    Queue(String),
}

/// Everything that is declared on the broker.
pub(super) struct Objects {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) queues: Vec<DeclaredQueue>,
    /// In this order: what receives is bound before what sends to it.
    pub(super) bindings: Vec<Binding>,
    /// Stands only while the bindings of an events exchange that was missing are made: an event that comes when only some
    /// of its queues are bound then goes to the unrouted too, and is moved to the others from there.
    pub(super) catch_all: Binding,
    /// Exchanges that earlier releases declared and nobody needs any more.
    pub(super) former: Vec<String>,
}

impl Objects {
    /// Everything, with a delay queue of each work queue for each wait of `ladder`.
    pub(super) fn of(names: &Names, ladder: &[Duration]) -> Self {
        let mut objects = Self {
            exchanges: exchanges(names),
            queues: vec![unrouted(names)],
            bindings: vec![to_queue(&names.unrouted(), "", &names.unrouted())],
            catch_all: to_exchange(&names.events(), "#", &names.unrouted()),
            former: vec![names.former_bypass()],
        };
        for queue in QUEUES {
            objects.queues.extend(queues(names, queue, ladder));
            let (work, dead) = (names.work(queue.name), names.dead(queue.name));
            objects.bindings.push(to_queue(&names.dead_exchange(), &work, &dead));
            objects.bindings.push(to_queue(&names.entry(queue.name), "", &work));
        }
        for queue in QUEUES {
            let (entry, work) = (names.entry(queue.name), names.work(queue.name));
            for kind in queue.bindings {
                objects.bindings.push(to_exchange(&names.events(), kind, &entry));
                objects.bindings.push(to_queue(&names.events(), kind, &work));
            }
        }
        objects
    }
}

fn exchanges(names: &Names) -> Vec<Exchange> {
    let plain = |name, kind| Exchange {
        name,
        kind,
        arguments: FieldTable::default(),
    };
    let noticing = |name, kind| Exchange {
        name,
        kind,
        arguments: table(&[("alternate-exchange", text(&names.unrouted()))]),
    };
    let mut exchanges = vec![
        plain(names.unrouted(), ExchangeKind::Fanout),
        plain(names.dead_exchange(), ExchangeKind::Direct),
        noticing(names.events(), ExchangeKind::Topic),
    ];
    let entries = QUEUES.iter().map(|queue| names.entry(queue.name));
    exchanges.extend(entries.map(|name| noticing(name, ExchangeKind::Fanout)));
    exchanges
}

fn unrouted(names: &Names) -> DeclaredQueue {
    let arguments = [
        ("x-max-length", number(MAX_UNROUTED)),
        ("x-message-ttl", millis(UNROUTED_FOR)),
        ("x-overflow", text("drop-head")),
        ("x-delivery-limit", number(NO_DELIVERY_LIMIT)),
    ];
    quorum(names.unrouted(), &arguments)
}

/// A work queue, its dead letters and its delay queues.
fn queues(names: &Names, queue: &Queue, ladder: &[Duration]) -> Vec<DeclaredQueue> {
    let work = names.work(queue.name);
    let dead = quorum(
        names.dead(queue.name),
        &[("x-delivery-limit", number(NO_DELIVERY_LIMIT))],
    );
    // At-least-once dead-lettering needs reject-publish: without it the broker falls back silently.
    let arguments = [
        ("x-delivery-limit", number(DELIVERY_LIMIT)),
        ("x-dead-letter-exchange", text(&names.dead_exchange())),
        ("x-dead-letter-routing-key", text(&work)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    let mut queues = vec![dead, quorum(work.clone(), &arguments)];
    for &after in ladder {
        // A queue for each delay: within one queue a short wait would stand behind a longer one.
        let arguments = [
            ("x-message-ttl", millis(after)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&work)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ];
        queues.push(quorum(names.delay(queue.name, after), &arguments));
    }
    queues
}

fn quorum(name: String, arguments: &[(&str, AMQPValue)]) -> DeclaredQueue {
    let mut arguments = table(arguments);
    arguments.insert("x-queue-type".into(), text("quorum"));
    DeclaredQueue { name, arguments }
}

fn to_queue(from: &str, key: &str, queue: &str) -> Binding {
    binding(from, key, Target::Queue(queue.to_owned()))
}

fn to_exchange(from: &str, key: &str, exchange: &str) -> Binding {
    binding(from, key, Target::Exchange(exchange.to_owned()))
}

fn binding(from: &str, key: &str, to: Target) -> Binding {
    Binding {
        from: from.to_owned(),
        key: key.to_owned(),
        to,
    }
}

fn table(arguments: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// `RabbitMQ` compares arguments by type too: whole numbers are always of this one.
fn number(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

fn millis(value: Duration) -> AMQPValue {
    number(i64::try_from(value.as_millis()).unwrap_or(i64::MAX))
}
