//! What is kept of a conversation, for those who ask later what became of a mail: what came of it, and the full reply.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::dispatch::{Exchange, ExchangeStatus, Unsaid};

use super::failure::{Failure, Meaning};
use super::verdict::Verdict;

/// The mail server's name in attempts.
pub(super) const MAIL: &str = "mail";

/// The exchange of a conversation with this outcome; `None` when it reached nobody. `sent` is the mail as it goes out.
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

/// The exchange on a rested connection that was of no use, before a new one was opened; `None` when nothing was replied.
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

/// The body of a mail in each form that a server's reply may quote: as it goes out (with broken lines joined again), and
/// as its parts read once they are decoded.
fn text_of(sent: &[u8]) -> String {
    let sent = String::from_utf8_lossy(sent);
    let text = sent.split_once("\r\n\r\n").map_or("", |(_, text)| text);
    let whole = text.replace("=\r\n", "").replace("\r\n", "\n");
    let plain = unquoted(&whole);
    let mut forms = vec![whole, plain];
    for part in sent.split("\r\n--") {
        let Some((header, content)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        if header
            .to_ascii_lowercase()
            .contains("content-transfer-encoding: base64")
        {
            let content: Vec<u8> = content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let decoded = BASE64_STANDARD.decode(content).unwrap_or_default();
            forms.push(String::from_utf8_lossy(&decoded).replace("\r\n", "\n"));
        }
    }
    forms.join("\n")
}

/// A text without the codes of quoted-printable (RFC 2045, 6.7).
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'=');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use lettre::Message;
    use lettre::message::header::ContentTransferEncoding;
    use lettre::message::{Body, MultiPart, SinglePart};

    use super::*;

    fn kept_of(reply: &str, sent: &[u8]) -> Option<String> {
        exchange(&Ok(reply.to_owned()), Unsaid::default(), sent).unwrap().answer
    }

    #[test]
    fn a_quoted_link_is_whole_again_before_it_is_looked_for() {
        let sent = b"Subject: x\r\n\r\nhttps://example.org/confirm?token=3DZm9vYm=\r\nFyYmF6cXV4\r\n";
        let kept = kept_of("250 2.0.0 Ok: took token=Zm9vYmFyYmF6cXV4", sent);
        assert_eq!(kept.as_deref(), Some("250 2.0.0 Ok: took [cut]"));
    }

    #[test]
    fn whichever_way_a_text_goes_nothing_of_it_is_kept() {
        let text = "Schönen Tag, Åsa!\nhttps://example.org/confirm?token=Zm9vYmFyYmF6cXV4\n";
        for encoding in [
            ContentTransferEncoding::Base64,
            ContentTransferEncoding::QuotedPrintable,
        ] {
            let body = Body::new_with_encoding(text.to_owned(), encoding).unwrap();
            let part = || SinglePart::builder().body(body.clone());
            let mail = Message::builder()
                .from("waypost@example.org".parse().unwrap())
                .to("ada@example.com".parse().unwrap())
                .multipart(MultiPart::alternative().singlepart(part()).singlepart(part()))
                .unwrap();
            let sent = mail.formatted();
            let kept = kept_of("554 spam: Schönen Tag, Åsa", &sent);
            assert_eq!(kept.as_deref(), Some("554 spam: [cut]"), "{encoding:?}");
            let kept = kept_of("554 spam: Zm9vYmFyYmF6cXV4 is listed", &sent);
            assert_eq!(kept.as_deref(), Some("554 spam: [cut] is listed"), "{encoding:?}");
            // As it goes.
            let sent_text = String::from_utf8(sent.clone()).unwrap();
            let line = sent_text
                .lines()
                .rfind(|line| line.len() > 30 && !line.starts_with("--"));
            let kept = kept_of(&format!("554 spam: {}", line.unwrap()), &sent).unwrap();
            assert!(
                kept.starts_with("554 spam: [cut]") && kept.len() < 20,
                "{encoding:?}: {kept}"
            );
        }
    }
}
