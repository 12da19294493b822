//! When two failures count as the same: same queue, same type of message, same error but for ids, numbers and the like.

use uuid::Uuid;

/// Stands for a part of an error's text that differs from message to message.
const ANY: &str = "*";
/// Hexadecimal digits of a fingerprint; among a million kinds of failure it is unlikely that two share one.
const DIGITS: usize = 12;

/// What failed: the kind of failure, and its text with `*` for ids, numbers, addresses and quotations.
pub(super) fn cause(kind: &str, text: &str) -> String {
    let mut words: Vec<&str> = vec![];
    let unquoted = without_quotations(text);
    for word in unquoted.split_whitespace() {
        let differs = word.contains(|c: char| c.is_ascii_digit() || c == '@');
        let word = if differs { ANY } else { word };
        // Several values in a row are a list: one `*` stands for it, however long it is.
        if word != ANY || words.last() != Some(&ANY) {
            words.push(word);
        }
    }
    format!("{kind}: {}", words.join(" "))
}

/// A short name for `cause` at this queue and type of message: the first digits of a UUIDv5 (RFC 9562). It is the same in
/// every process and every release.
pub(super) fn fingerprint(queue: &str, kind: &str, cause: &str) -> String {
    let whole = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{queue}\n{kind}\n{cause}").as_bytes());
    let mut digits = whole.simple().to_string();
    digits.truncate(DIGITS);
    digits
}

/// The text with each quotation replaced. A quotation mark without its partner is a letter like others.
fn without_quotations(text: &str) -> String {
    let mut left = text;
    let mut whole = String::with_capacity(text.len());
    while let Some(begin) = left.find(['"', '\'', '`']) {
        let mark = &left[begin..=begin];
        let inner = &left[begin + 1..];
        let opens_a_word = left[..begin].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        if let Some(end) = inner.find(mark).filter(|_| opens_a_word) {
            whole.push_str(&left[..begin]);
            whole.push_str(ANY);
            left = &inner[end + 1..];
        } else {
            whole.push_str(&left[..=begin]);
            left = inner;
        }
    }
    whole.push_str(left);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_message_to_message_is_taken_out() {
        for (one, other) in [
            (
                "no user 0190f3b4-1111-7000-8000-000000000001",
                "no user 0190f3b4-2222-7000-8000-00000000000f",
            ),
            ("line 1 column 5", "line 12 column 77"),
            ("\"ada\" is taken", "\"bob b\" is taken"),
            ("ada@example.org bounced", "bob@example.com bounced"),
        ] {
            assert_eq!(cause("failed", one), cause("failed", other));
        }
        assert_eq!(
            cause("failed", "the relay's answer isn't 250"),
            "failed: the relay's answer isn't *"
        );
    }

    #[test]
    fn other_failures_queues_and_types_have_other_fingerprints() {
        let known = fingerprint("a.events", "user.registered.v1", "refused: x");
        assert_eq!(known, fingerprint("a.events", "user.registered.v1", "refused: x"));
        assert_eq!(known.len(), DIGITS);
        for (queue, kind, cause) in [
            ("b.events", "user.registered.v1", "refused: x"),
            ("a.events", "user.updated.v1", "refused: x"),
            ("a.events", "user.registered.v1", "failed: x"),
        ] {
            assert_ne!(known, fingerprint(queue, kind, cause));
        }
    }
}
