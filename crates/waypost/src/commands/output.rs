//! What commands say: lines for a person or objects for a program on standard output, trouble on standard error.

use std::io::Write;

use serde_json::{Value, json};

/// Writes a line to standard output.
pub(super) fn say(line: &str) {
    // The reader may have closed the pipe, as `head` does: that is no failure.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line about what went wrong to standard error.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "waypost: {line}");
}

/// An object of a service as JSON on one line, with the service's name as a member of it.
pub(super) fn of_service(service: &str, item: &Value) -> String {
    let mut line = json!({"service": service});
    if let (Some(line), Some(item)) = (line.as_object_mut(), item.as_object()) {
        line.extend(item.clone());
    }
    line.to_string()
}

/// A value as a person reads it; nothing where there is none.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
