//! Writes a JSON value as YAML, always in the same way: names in their order, every text in JSON's quotes, which YAML reads too.

use std::fmt::Write as _;

use serde_json::Value;

/// The YAML of `value`, which is an object.
pub(super) fn written(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text
}

/// Writes `value` after its name or dash: on the same line, or on lines of its own, `depth` deep.
fn write(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort();
            for name in names {
                begin(text, depth);
                let _ = write!(text, "{}:", plain(name));
                below(text, &members[name], depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                begin(text, depth);
                text.push('-');
                below(text, item, depth);
            }
        }
        // Scalars, empty objects and empty arrays are written alike in JSON and in YAML.
        _ => {
            let _ = write!(text, " {value}");
        }
    }
}

fn below(text: &mut String, value: &Value, depth: usize) {
    write(text, value, depth + 1);
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

fn begin(text: &mut String, depth: usize) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(std::iter::repeat_n("  ", depth));
}

/// A name without quotes where YAML can take it for nothing but a text, otherwise in quotes.
fn plain(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
    if is_plain {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_stand_in_their_order_and_texts_in_quotes() {
        let value = json!({"b": [{"x": 1, "a": "no: \"yes\""}, []], "a": {"$ref": "#/x", "none": {}}, "c": true});
        let expected =
            "a:\n  \"$ref\": \"#/x\"\n  none: {}\nb:\n  -\n    a: \"no: \\\"yes\\\"\"\n    x: 1\n  - []\nc: true\n";
        assert_eq!(written(&value), expected);
    }
}
