//! Messages with something wrong, and a part of the reason that they are set aside for.

use serde_json::json;
use test_support::{AmqpMessage, AmqpValue};
use uuid::Uuid;

/// Header that tells which case a dead letter was.
pub(super) const CASE: &str = "waypost-test-case";

/// Name, part of the reason, message.
pub(super) type Poison = (String, &'static str, AmqpMessage);

/// A message that is right in every way, and its id.
pub(super) fn registered(email: &str) -> (Uuid, AmqpMessage) {
    let (id, user) = (Uuid::now_v7(), Uuid::now_v7());
    let body =
        json!({"user_id": user, "version": 1, "email": email, "name": "Ada", "locale": "en", "status": "active"});
    let headers = [
        ("cloudEvents_specversion", "1.0".to_owned()),
        ("cloudEvents_id", id.to_string()),
        ("cloudEvents_source", "user-api".to_owned()),
        ("cloudEvents_type", "user.registered.v1".to_owned()),
        ("cloudEvents_time", "2026-01-01T00:00:00Z".to_owned()),
        ("cloudEvents_subject", user.to_string()),
    ];
    let message = AmqpMessage {
        content_type: Some("application/json".to_owned()),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.as_str().into()))
            .collect(),
        body: body.to_string().into_bytes(),
    };
    (id, message)
}

fn poison(name: impl Into<String>, reason: &'static str, spoil: impl FnOnce(&mut AmqpMessage)) -> Poison {
    let mut message = registered("poison@example.com").1;
    spoil(&mut message);
    (name.into(), reason, message)
}

/// The wrapping is wrong.
pub(super) fn envelopes() -> Vec<Poison> {
    let mut cases = vec![poison("nothing but random bytes", "content type", |message| {
        *message = AmqpMessage {
            body: random(),
            ..AmqpMessage::default()
        };
    })];
    for content_type in [
        None,
        Some("text/plain"),
        Some(""),
        Some("application/x-protobuf"),
        Some("\u{ff}\r\n"),
    ] {
        cases.push(poison(
            format!("content type {content_type:?}"),
            "content type",
            |message| {
                message.content_type = content_type.map(str::to_owned);
            },
        ));
    }
    for name in ["specversion", "id", "source", "type", "time"] {
        let header = format!("cloudEvents_{name}");
        cases.push(poison(format!("no {header}"), "cloudEvents_", |message| {
            message.headers.remove(&header);
        }));
        let odd = [
            ("a list", AmqpValue::List),
            ("a table", AmqpValue::Table),
            ("void", AmqpValue::Void),
        ];
        for (what, value) in odd {
            cases.push(poison(format!("{header} is {what}"), "cloudEvents_", |message| {
                message.headers.insert(header.clone(), value);
            }));
        }
    }
    cases
}

/// A header that is there, and says what can't be.
pub(super) fn values() -> Vec<Poison> {
    let mut cases = Vec::new();
    let long = "9".repeat(60_000);
    let values: [(&str, &str, &'static str); 12] = [
        ("specversion", "0.3", "cloudEvents_specversion"),
        ("type", "user.exploded.v1", "unknown type user.exploded.v1"),
        ("type", "user.registered.v9", "unknown type user.registered.v9"),
        ("type", "", "unknown type"),
        ("type", "\0\r\n", "unknown type"),
        ("type", &long, "unknown type"),
        ("id", "1", "cloudEvents_id"),
        ("id", &long, "cloudEvents_id"),
        ("id", "' OR 1=1", "cloudEvents_id"),
        ("time", "yesterday", "cloudEvents_time"),
        ("subject", "nobody", "cloudEvents_subject"),
        ("causationid", "\u{202e}", "cloudEvents_causationid"),
    ];
    for (name, value, reason) in values {
        cases.push(poison(format!("{name} is {value:.30?}"), reason, |message| {
            message.headers.insert(format!("cloudEvents_{name}"), value.into());
        }));
    }
    cases.push(poison("an id that is a number", "cloudEvents_id", |message| {
        message
            .headers
            .insert("cloudEvents_id".to_owned(), AmqpValue::Number(-1));
    }));
    cases.push(poison("a type that is no UTF-8", "unknown type", |message| {
        let bytes = AmqpValue::Text(vec![0xff, 0xfe]);
        message.headers.insert("cloudEvents_type".to_owned(), bytes);
    }));
    cases.push(poison("an id that fills the frame", "cloudEvents_id", |message| {
        message
            .headers
            .insert("cloudEvents_id".to_owned(), "9".repeat(65_400).as_str().into());
    }));
    cases
}

/// The body can't be read.
pub(super) fn bodies() -> Vec<Poison> {
    let undecodable = "undecodable";
    let fine = registered("poison@example.com").1.body;
    let nested = |open: &str, levels: usize| format!(r#"{{"user_id":{}"#, open.repeat(levels)).into_bytes();
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let bodies: Vec<(&str, &'static str, Vec<u8>)> = vec![
        ("random bytes", undecodable, random()),
        ("nothing", undecodable, Vec::new()),
        ("half of a body", undecodable, fine[..fine.len() / 2].to_vec()),
        ("two bodies", undecodable, fine.repeat(2)),
        (
            "gzip",
            undecodable,
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0".to_vec(),
        ),
        ("bad UTF-8", undecodable, b"{\"user_id\":\"\xff\"}".to_vec()),
        (
            "a byte order mark",
            undecodable,
            [b"\xef\xbb\xbf", fine.as_slice()].concat(),
        ),
        ("two megabytes of JSON", "more than 1048576", large.into_bytes()),
        ("two megabytes of noise", "more than 1048576", random().repeat(2048)),
        ("deep arrays", undecodable, nested("[", 200_000)),
        ("deep objects", undecodable, nested(r#"{"a":"#, 100_000)),
        (
            "deep arrays elsewhere",
            undecodable,
            format!(r#"{{"x":{}"#, "[".repeat(200_000)).into_bytes(),
        ),
    ];
    bodies
        .into_iter()
        .map(|(name, reason, body)| poison(name, reason, |message| message.body = body))
        .collect()
}

/// The body is JSON, and not what the type says.
pub(super) fn shapes() -> Vec<Poison> {
    let undecodable = "undecodable";
    let user = Uuid::now_v7();
    let with = |field: &str, value: serde_json::Value| {
        let mut body = json!({"user_id": user, "version": 1, "email": "poison@example.com", "name": "Ada", "locale": "en", "status": "active"});
        body[field] = value;
        body.to_string()
    };
    let twice = with("locale", json!("en")).replacen('{', r#"{"name":"x","#, 1);
    let bodies: Vec<(&str, &'static str, String)> = vec![
        ("null", undecodable, "null".to_owned()),
        ("a list", undecodable, "[]".to_owned()),
        ("an empty object", "missing field", "{}".to_owned()),
        ("a field twice", undecodable, twice),
        ("a person that is no id", undecodable, with("user_id", json!("x"))),
        ("a version that is text", undecodable, with("version", json!("1"))),
        ("a version beyond numbers", undecodable, with("version", json!(1e30))),
        ("an address that is a list", undecodable, with("email", json!([]))),
        ("NUL in the name", "can't hold", with("name", json!("A\u{0}da"))),
        (
            "NUL in the address",
            "can't hold",
            with("email", json!("a\u{0}@example.com")),
        ),
    ];
    bodies
        .into_iter()
        .map(|(name, reason, body)| poison(name, reason, |message| message.body = body.into_bytes()))
        .collect()
}

/// A kilobyte that looks like nothing; the same each time, so that a failure comes again.
fn random() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(1024);
    while bytes.len() < 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}
