//! What is kept of a conversation, for those who ask later what became of a mail: what came of it, and the full reply.

use common::dispatch::{Exchange, ExchangeStatus, Unsaid};

use super::failure::{Failure, Meaning};
use super::verdict::Verdict;

/// The mail server's name in attempts.
pub(super) const MAIL: &str = "mail";

/// The exchange of a conversation that ended so; none of one that reached nobody. `sent` is the mail as it goes.
pub(super) fn exchange(outcome: &Result<String, Failure>, unsaid: Unsaid, sent: &[u8]) -> Option<Exchange> {
    let (status, reply, reason) = match outcome {
        Ok(reply) => (ExchangeStatus::Accepted, Some(reply.clone()), None),
        Err(failure) if failure.reached_a_server() => (status(failure), failure.reply(), Some(failure.to_string())),
        Err(_) => return None,
    };
    Some(Exchange {
        provider: MAIL.to_owned(),
        status,
        answer: reply.map(|reply| unsaid.text(&text_of(sent)).of(&reply)),
        reason,
    })
}

/// The exchange on a connection that had rested, after which another one was taken; none where nothing was replied.
pub(super) fn on_a_rested_one(stale: &Failure, unsaid: &Unsaid) -> Option<Exchange> {
    Some(Exchange {
        provider: MAIL.to_owned(),
        status: ExchangeStatus::Failed,
        answer: Some(unsaid.of(&stale.reply()?)),
        reason: Some(format!("{stale}, on a connection that had rested")),
    })
}

/// What came of a conversation that failed.
fn status(failure: &Failure) -> ExchangeStatus {
    match failure.meaning() {
        Meaning::Refused(Verdict::Mailbox | Verdict::Mail) => ExchangeStatus::Rejected,
        Meaning::Unknown => ExchangeStatus::Unknown,
        Meaning::Refused(_) | Meaning::Away | Meaning::Broken => ExchangeStatus::Failed,
    }
}

/// What a mail says below its header, in lines that are whole again.
fn text_of(sent: &[u8]) -> String {
    let sent = String::from_utf8_lossy(sent);
    let text = sent.split_once("\r\n\r\n").map_or("", |(_, text)| text);
    text.replace("=\r\n", "").replace("=3D", "=").replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_link_is_whole_again_before_it_is_looked_for() {
        let sent = b"Subject: x\r\n\r\nhttps://example.org/confirm?token=3DZm9vYm=\r\nFyYmF6cXV4\r\n";
        let outcome = Ok("250 2.0.0 Ok: took token=Zm9vYmFyYmF6cXV4".to_owned());
        let kept = exchange(&outcome, Unsaid::default(), sent).unwrap();
        assert_eq!(kept.answer.as_deref(), Some("250 2.0.0 Ok: took [cut]"));
    }
}
