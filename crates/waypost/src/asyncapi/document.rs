//! The document: a channel for each message type and for each queue, and who sends and who receives.

use contracts::envelope::{CONTENT_TYPE, MAX_BODY_BYTES};
use contracts::events::Described;
use contracts::topology::{EVENTS_EXCHANGE, QUEUES, Queue, TYPES, UNROUTED};
use serde_json::{Map, Value, json};

use super::headers;
use super::yaml;

/// Version of the AMQP binding of the specification.
const BINDING: &str = "0.3.0";

/// The description of all messages (`AsyncAPI` 3.0.0), as YAML.
pub fn document() -> String {
    let about = format!(
        "Events between the services of Waypost, and the queues that they come by, without a namespace in front of the names. A body has \
         {MAX_BODY_BYTES} bytes at most. Who reads ignores members that it does not know; a change that it would notice is a new version \
         of the type beside the old one. Each message comes at least once, and with the same id when it comes again."
    );
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Waypost", "version": env!("CARGO_PKG_VERSION"), "description": about},
        "defaultContentType": CONTENT_TYPE,
        "servers": {"broker": {
            "host": "localhost:5672",
            "protocol": "amqp",
            "protocolVersion": "0-9-1",
            "description": "RabbitMQ: the setting `broker.url`",
        }},
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages(),
            "schemas": {"envelope": headers::envelope(), "deadLetter": headers::of_a_dead_letter()},
        },
    });
    format!(
        "# Written by `make asyncapi`, from the types in crates/contracts.\n{}",
        yaml::written(&document)
    )
}

fn channels() -> Map<String, Value> {
    let mut channels = Map::new();
    for event in TYPES {
        channels.insert(event.kind.to_owned(), published(event));
    }
    for queue in QUEUES {
        channels.insert(queue.name.to_owned(), work(queue));
        channels.insert(dead_name(queue), dead(queue));
    }
    let about = "Events that no queue is bound to, or whose queue is missing: 10,000 at most, for 7 days.";
    channels.insert(
        UNROUTED.to_owned(),
        of_queue(UNROUTED, about, TYPES.iter().map(|event| event.kind)),
    );
    channels
}

/// Where a type is sent to.
fn published(event: &Described) -> Value {
    let exchange = json!({
        "name": EVENTS_EXCHANGE, "type": "topic", "durable": true, "autoDelete": false, "vhost": "/",
    });
    json!({
        "address": event.kind,
        "description": format!("By this routing key to the exchange {EVENTS_EXCHANGE}."),
        "messages": references([event.kind]),
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING}},
    })
}

fn work(queue: &Queue) -> Value {
    let about = format!(
        "Bound to {EVENTS_EXCHANGE} by each of its types, directly and through the exchange {0}.in; a message that takes both ways \
         arrives once. What fails waits in the delay queues {0}.retry.<milliseconds> (`broker.retry_delays_ms`), then goes to {0}.dead.",
        queue.name
    );
    of_queue(queue.name, &about, queue.bindings.iter().copied())
}

fn dead(queue: &Queue) -> Value {
    let about = format!(
        "What {} could not take in; kept until somebody drops or replays it. Its headers: #/components/schemas/deadLetter.",
        queue.name
    );
    of_queue(&dead_name(queue), &about, queue.bindings.iter().copied())
}

fn of_queue<'a>(name: &str, about: &str, kinds: impl IntoIterator<Item = &'a str>) -> Value {
    let queue = json!({"name": name, "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/"});
    json!({
        "address": name,
        "description": about,
        "messages": references(kinds),
        "bindings": {"amqp": {"is": "queue", "queue": queue, "bindingVersion": BINDING}},
    })
}

fn dead_name(queue: &Queue) -> String {
    format!("{}.dead", queue.name)
}

fn references<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let reference = |kind: &str| json!({"$ref": format!("#/components/messages/{kind}")});
    kinds
        .into_iter()
        .map(|kind| (kind.to_owned(), reference(kind)))
        .collect()
}

fn operations() -> Map<String, Value> {
    let mut operations = Map::new();
    for event in TYPES {
        let (service, kind) = (event.source, event.kind);
        let sends = json!({
            "action": "send",
            "summary": format!("{service} tells of it in the change that it tells of"),
            "channel": {"$ref": format!("#/channels/{kind}")},
            "messages": [{"$ref": format!("#/channels/{kind}/messages/{kind}")}],
            "bindings": {"amqp": {"deliveryMode": 2, "mandatory": true, "bindingVersion": BINDING}},
        });
        operations.insert(format!("{service}.sends.{kind}"), sends);
    }
    for queue in QUEUES {
        let name = queue.name;
        let messages = queue
            .bindings
            .iter()
            .map(|kind| json!({"$ref": format!("#/channels/{name}/messages/{kind}")}));
        let receives = json!({
            "action": "receive",
            "summary": "each once in effect: an inbox knows the ids",
            "channel": {"$ref": format!("#/channels/{name}")},
            "messages": messages.collect::<Vec<_>>(),
            "bindings": {"amqp": {"ack": true, "bindingVersion": BINDING}},
        });
        operations.insert(format!("{name}.receives"), receives);
    }
    operations
}

fn messages() -> Map<String, Value> {
    let message = |event: &Described| {
        let payload = (event.schema)().to_value();
        json!({
            "name": event.kind,
            "title": event.kind,
            "summary": payload["description"].as_str().unwrap_or_default(),
            "contentType": CONTENT_TYPE,
            "headers": {"$ref": "#/components/schemas/envelope"},
            "payload": payload,
        })
    };
    TYPES
        .iter()
        .map(|event| (event.kind.to_owned(), message(event)))
        .collect()
}
