//! The notification that a new person gets.

use serde_json::json;

use super::notify::Content;
use crate::tables::recipients;

/// Welcomes a person in their language; an unknown one is English.
pub(crate) fn welcome(recipient: &recipients::Model) -> Content {
    let language = recipient.locale.split(['-', '_']).next().unwrap_or_default();
    let name = &recipient.name;
    let (title, body) = match language {
        "zh" => (format!("欢迎，{name}"), "您的账户已准备就绪。".to_owned()),
        _ => (format!("Welcome, {name}"), "Your account is ready.".to_owned()),
    };
    Content {
        kind: "welcome",
        category: "account",
        title,
        body,
        data: json!({}),
    }
}
