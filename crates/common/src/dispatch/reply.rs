//! What a provider answered, as it is kept: bounded, and without what was sent.
//!
//! A mail server that refuses a text as spam quotes it, and a provider's answer may repeat the message. What was sent may
//! hold links that let somebody in, so it is cut out of the answer.

/// Most bytes of an answer that are kept.
pub(super) const LIMIT: usize = 4096;
/// Stands in for what is not kept.
const CUT: &str = "[cut]";
/// In bytes. A shorter run that was sent too may be the provider's own word, such as a code or a name.
const SHORTEST: usize = 12;

/// What must not be kept of an answer: the text that was sent, and secrets, such as our credentials or the recipient's
/// address.
#[derive(Clone, Default)]
pub struct Unsaid {
    secrets: Vec<String>,
    text: String,
}

impl Unsaid {
    /// Adds a secret: it is cut out however short it is, as it is and as JSON escapes it.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        let escaped = serde_json::to_string(secret).unwrap_or_default();
        let escaped = escaped.trim_start_matches('"').trim_end_matches('"');
        let forms = [secret, escaped].map(without_controls);
        self.secrets.extend(forms.into_iter().filter(|form| !form.is_empty()));
        self
    }

    /// Sets the text that was sent, in place of one that was set before. Every run of whole words of it that has twelve
    /// bytes or more is cut out.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = without_controls(text);
        self
    }

    /// The answer as it may be kept: 4096 bytes at most, `[cut]` for what is cut out, no control character but the newline.
    pub fn of(&self, answer: &str) -> String {
        let looked_at = bounded(answer, 2 * LIMIT);
        let is_whole = looked_at.len() < 2 * LIMIT - 4;
        let mut answer = looked_at;
        for secret in &self.secrets {
            if answer.contains(secret) {
                answer = answer.replace(secret, CUT);
            }
        }
        if !is_whole {
            // A secret may begin at its end.
            let longest = self.secrets.iter().map(String::len).max().unwrap_or_default();
            let end = answer.floor_char_boundary(answer.len().saturating_sub(longest));
            answer.truncate(end);
        }
        bounded(&self.without_text(&answer), LIMIT)
    }

    /// Cuts out each run of words that the text has too.
    fn without_text(&self, answer: &str) -> String {
        let words = words(answer);
        let (mut kept, mut from, mut next) = (String::with_capacity(answer.len()), 0, 0);
        while let Some((start, first_end)) = words.get(next).copied() {
            let mut end = start;
            let mut last = next;
            let mut word_end = first_end;
            while self.text.contains(&answer[start..word_end]) {
                end = word_end;
                last += 1;
                match words.get(last) {
                    Some((_, further)) => word_end = *further,
                    None => break,
                }
            }
            if end - start >= SHORTEST {
                kept.push_str(&answer[from..start]);
                kept.push_str(CUT);
                (from, next) = (end, last);
            } else {
                next += 1;
            }
        }
        kept.push_str(&answer[from..]);
        kept
    }
}

impl std::fmt::Debug for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsaid(..)")
    }
}

/// Where each word begins and ends; words are made of what tokens are made of.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (place, c) in text.char_indices() {
        let is_of_a_word = c.is_alphanumeric() || matches!(c, '-' | '_');
        match (is_of_a_word, start) {
            (true, None) => start = Some(place),
            (false, Some(begun)) => {
                words.push((begun, place));
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|begun| (begun, text.len())));
    words
}

fn without_controls(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

/// A text without control characters other than the newline, cut to `limit` bytes: no database takes them, and no terminal
/// should show them.
pub(super) fn bounded(text: &str, limit: usize) -> String {
    let mut text = without_controls(text);
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_what_was_sent_is_kept() {
        let mail = "Hello Ada,\nplease confirm: https://example.org/confirm?token=Zm9vYmFyYmF6cXV4\nGood bye";
        let unsaid = Unsaid::default().text(mail).secret("hunter2");
        for (answer, kept) in [
            (
                "554 5.7.1 spam: https://example.org/confirm?token=Zm9vYmFyYmF6cXV4 is listed",
                "554 5.7.1 spam: [cut] is listed",
            ),
            (
                "550 the token 'Zm9vYmFyYmF6cXV4' is listed",
                "550 the token '[cut]' is listed",
            ),
            (
                "250 2.0.0 Ok: queued as 4TYQk31vRPz1y1X",
                "250 2.0.0 Ok: queued as 4TYQk31vRPz1y1X",
            ),
            ("535 not hunter2", "535 not [cut]"),
            ("550 you said\nHello Ada,\nplease confirm", "550 you said\n[cut]"),
            ("550 Good bye, Ada", "550 Good bye, Ada"),
        ] {
            assert_eq!(unsaid.of(answer), kept);
        }
        let sms = Unsaid::default().secret("Your \"code\" is 1");
        let body = r#"{"sid": "SM1", "body": "Your \"code\" is 1"}"#;
        assert_eq!(sms.of(body), r#"{"sid": "SM1", "body": "[cut]"}"#);
    }

    #[test]
    fn a_secret_is_cut_out_also_where_the_look_at_an_answer_ends() {
        let unsaid = Unsaid::default().secret("hunter2").secret(&"x".repeat(1_000));
        let answer = format!("{} hunter2", "x".repeat(8_000)) + &" ".repeat(8_192 - 8_011) + "hunter2";
        let kept = unsaid.of(&answer);
        assert!(!kept.contains("hun"), "{kept}");
        let two_lines = Unsaid::default().secret("a\r\nb");
        assert_eq!(two_lines.of("550 a\r\nb"), "550 [cut]");
        assert_eq!(two_lines.of(r#"{"x": "a\r\nb"}"#), r#"{"x": "[cut]"}"#);
        assert_eq!(Unsaid::default().secret("\0").of("550 no"), "550 no");
    }

    #[test]
    fn an_answer_is_bounded_and_has_no_control_characters() {
        let long = format!("550 {}\u{1b}[2J\0", "å".repeat(LIMIT));
        let kept = Unsaid::default().of(&long);
        assert!(kept.len() <= LIMIT && !kept.contains('\u{1b}'), "{}", kept.len());
        assert_eq!(bounded("a\r\nb\0", 10), "a\nb");
    }
}
