//! The headers of messages, as JSON Schema.

use contracts::envelope::{SPEC_VERSION, header};
use serde_json::{Map, Value, json};

/// What every message has.
pub(super) fn envelope() -> Value {
    let id = |about: &str| json!({"type": "string", "format": "uuid", "description": about});
    let text = |about: &str| json!({"type": "string", "description": about});
    let time = |about: &str| json!({"type": "string", "format": "date-time", "description": about});
    let properties = [
        (
            header::SPEC_VERSION,
            json!({"type": "string", "const": SPEC_VERSION, "description": "version of CloudEvents"}),
        ),
        (
            header::ID,
            id("of the event; stays the same however often it is sent: what an inbox remembers"),
        ),
        (header::SOURCE, text("the service that wrote it")),
        (header::TYPE, text("the type with its version; also the routing key")),
        (header::TIME, time("when it happened, UTC")),
        (
            header::SUBJECT,
            id("of the aggregate that it is about: one aggregate's events are published in order"),
        ),
        (header::CAUSATION_ID, id("of the event that caused this one")),
        (header::TRACEPARENT, text("W3C Trace Context")),
        (header::TRACESTATE, text("W3C Trace Context, the vendor part")),
        (
            header::ATTEMPT,
            text("how often its consumer has tried it through its delay queues; absent at the first attempt"),
        ),
    ];
    let required = [
        header::SPEC_VERSION,
        header::ID,
        header::SOURCE,
        header::TYPE,
        header::TIME,
    ];
    json!({
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode (AMQP protocol binding). Headers that a reader does not know are left alone.",
        "required": required,
        "properties": object(properties),
    })
}

/// What a dead letter has beside these.
pub(super) fn of_a_dead_letter() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let properties = [
        (header::REASON, text("why it is here")),
        (header::FIRST_ERROR, text("why the first attempt failed")),
        (header::LAST_ERROR, text("why the last attempt failed")),
        (
            header::FAILED_AT,
            json!({"type": "string", "format": "date-time", "description": "when the last attempt failed, UTC"}),
        ),
    ];
    json!({
        "description": "No part of it quotes what the message says.",
        "allOf": [
            {"$ref": "#/components/schemas/envelope"},
            {"type": "object", "properties": object(properties)},
        ],
    })
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
