//! What a person or a program reads.

use std::io::{self, Write};

use common::messaging::DeadLetter;

/// Writes a line; false when nobody reads any more, as behind `head`.
pub(super) fn say(line: &str) -> bool {
    writeln!(io::stdout(), "{line}").is_ok()
}

/// The text without what would move a terminal's cursor or break its lines: it came with a message.
pub(super) fn plain(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    text.chars().map(|c| if is_harmless(c) { c } else { '?' }).collect()
}

/// One letter as a line.
pub(super) fn line(letter: &DeadLetter) -> String {
    let time = letter.time.as_deref().unwrap_or("-");
    let (kind, id) = (
        letter.kind.as_deref().unwrap_or("-"),
        letter.id.as_deref().unwrap_or("-"),
    );
    let trace = letter.trace_id.as_deref().unwrap_or("-");
    let why = letter
        .last_error
        .as_deref()
        .filter(|_| letter.reason.ends_with("used up"));
    let why = why.map(|error| format!(" ({error})")).unwrap_or_default();
    let line = format!(
        "{time:<27}  {:<28}  {kind:<22}  {id:<36}  {:<12}  {:>3}  {trace:<32}  {}{why}",
        letter.queue, letter.fingerprint, letter.attempts, letter.reason
    );
    plain(&line)
}

/// What stands above the lines.
pub(super) fn head() -> String {
    format!(
        "{:<27}  {:<28}  {:<22}  {:<36}  {:<12}  {:>3}  {:<32}  {}",
        "TIME", "QUEUE", "TYPE", "ID", "FINGERPRINT", "TRY", "TRACE", "REASON"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_a_message_does_not_move_the_cursor() {
        assert_eq!(plain("a\x1b[2J\r\nb\u{202e}é"), "a?[2J??b?é");
    }
}
