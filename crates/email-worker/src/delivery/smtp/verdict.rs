//! What a server's refusal is about: the one table.
//!
//! Judged by the enhanced status code (RFC 3463) where the server gives one, since a bare 550 or 554 is
//! said of recipients, of texts and of senders alike. Only what clearly names the mailbox or the mail is
//! final; in doubt the mail waits.

/// How far a conversation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connecting, greeting, EHLO, TLS.
    Connect,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before the text.
    Data,
    /// The text was being sent, or had gone.
    Text,
}

/// An enhanced status code, such as 5.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Enhanced {
    class: u16,
    subject: u16,
    detail: u16,
}

/// What a refusal is about, and so what becomes of the mail and of those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The mailbox. Final.
    Mailbox,
    /// This mail. Final.
    Mail,
    /// Nothing that lasts: the mail waits.
    Later,
    /// This relay and this recipient's domain: their mails wait.
    Pair,
    /// Perhaps us: the mail waits, and the relay rests when other domains say the same.
    Us,
    /// Us, or the relay itself: all mail waits.
    Relay,
}

/// The table. The first line that fits counts.
pub(super) fn verdict(stage: Stage, code: u16, enhanced: Option<Enhanced>) -> Verdict {
    use Stage::{Connect, Data, Login, Recipient, Sender, Text};
    let enhanced = enhanced.map(|it| (it.class, it.subject, it.detail));
    match (stage, code, enhanced) {
        (_, 421, _) | (_, _, Some((4, 7, _))) => Verdict::Pair,
        // Nobody was named yet.
        (Connect | Login | Sender, _, _) => Verdict::Relay,
        // When code and enhanced code differ in class, the temporary one (4) counts.
        (_, ..500, _) | (_, _, Some((4, _, _))) => Verdict::Later,
        // Bad address, but the sender's: many servers say so only once a recipient was named.
        (_, _, Some((5, 1, 7 | 8))) => Verdict::Us,
        (_, _, Some((5, 1 | 2, _))) => Verdict::Mailbox,
        (_, _, Some((5, 6, _) | (5, 3, 4))) => Verdict::Mail,
        // The server's own state.
        (_, _, Some((5, 3, _))) => Verdict::Us,
        (_, 552, _) => Verdict::Mail,
        (_, _, Some((5, 7, _))) => Verdict::Us,
        // From here on the enhanced code, if there is one, is none to go by: servers say 5.0.0, 5.4.1 and 5.5.0 of mailboxes
        // that are not there.
        (Recipient, 550 | 551 | 553, _) => Verdict::Mailbox,
        (Data | Text, 550..=554, _) => Verdict::Mail,
        _ => Verdict::Us,
    }
}

impl Enhanced {
    /// The code that a server's words begin with, as in `5.1.1 no such user`.
    pub(super) fn at_start_of(words: &str) -> Option<Self> {
        let mut parts = words.split_whitespace().next()?.split('.');
        let mut number = || {
            let part = parts.next()?;
            let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| part.parse().ok()).flatten()
        };
        let (class, subject, detail) = (number()?, number()?, number()?);
        (parts.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(Self { class, subject, detail })
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::Stage::{Connect, Data, Login, Recipient, Sender, Text};
    use super::*;

    const ALL: &[Stage] = &[Connect, Login, Sender, Recipient, Data, Text];
    const UNNAMED: &[Stage] = &[Connect, Login, Sender];
    const NAMED: &[Stage] = &[Recipient, Data, Text];
    const TOLD: &[Stage] = &[Data, Text];

    /// Stages, replies, and what they are about.
    const TABLE: &[(&[Stage], &str, Verdict)] = &[
        // By enhanced code.
        (NAMED, "550 5.1.1, 553 5.1.3, 550 5.1.10, 554 5.1.2", Verdict::Mailbox),
        (NAMED, "550 5.2.1, 552 5.2.2, 554 5.2.3", Verdict::Mailbox),
        (
            NAMED,
            "554 5.6.0, 550 5.6.7, 552 5.3.4, 550 5.3.4, 552 5.7.0",
            Verdict::Mail,
        ),
        (NAMED, "554 5.7.1, 550 5.7.1, 550 5.7.26, 521 5.7.0", Verdict::Us),
        (NAMED, "550 5.3.2, 554 5.3.0, 550 5.3.5, 552 5.3.1", Verdict::Us),
        (NAMED, "550 5.1.8, 553 5.1.7", Verdict::Us),
        (ALL, "450 4.7.1, 454 4.7.0, 550 4.7.1, 451 4.7.500", Verdict::Pair),
        (ALL, "421, 421 4.3.2, 421 5.7.0", Verdict::Pair),
        (NAMED, "452 4.2.2, 450 4.2.0, 450 4.1.1, 452 4.3.1", Verdict::Later),
        (NAMED, "450 5.1.1, 550 4.2.2, 451 5.7.1", Verdict::Later),
        (UNNAMED, "554 5.7.1, 530 5.7.0, 535 5.7.8, 550 5.1.8", Verdict::Relay),
        (UNNAMED, "552 5.6.0, 452 4.3.1, 553 5.1.1", Verdict::Relay),
        // Without one, or with one that says no more than the code.
        (UNNAMED, "554, 530, 535, 550, 451, 500", Verdict::Relay),
        (NAMED, "450, 451, 452", Verdict::Later),
        (NAMED, "552", Verdict::Mail),
        (
            &[Recipient],
            "550, 551, 553, 550 5.4.1, 550 5.5.0, 550 5.0.0, 550 2.1.5",
            Verdict::Mailbox,
        ),
        (&[Recipient], "554, 530, 535, 503, 501, 571", Verdict::Us),
        (TOLD, "554, 550, 551, 553, 554 5.0.0", Verdict::Mail),
        (TOLD, "530, 535, 503, 500", Verdict::Us),
    ];

    #[test]
    fn each_refusal_is_about_what_the_table_says() {
        for (stages, replies, expected) in TABLE {
            for (stage, reply) in stages
                .iter()
                .flat_map(|stage| replies.split(", ").map(move |reply| (stage, reply)))
            {
                let (code, words) = reply.split_once(' ').unwrap_or((reply, ""));
                let found = verdict(*stage, code.parse().unwrap(), Enhanced::at_start_of(words));
                assert_eq!(found, *expected, "{reply} at {stage:?}");
            }
        }
    }

    #[test]
    fn only_a_code_is_taken_from_a_servers_words() {
        let code = |words| Enhanced::at_start_of(words).map(|code| code.to_string());
        assert_eq!(code("5.1.1 <ann@example.org> unknown").as_deref(), Some("5.1.1"));
        for words in [
            "<ann@example.org> unknown",
            "5.1 no",
            "ann.lee.x no",
            "1.2.3.4 no",
            "5.1.1000",
            "9.1.1",
            "",
        ] {
            assert_eq!(code(words), None, "{words}");
        }
    }
}
