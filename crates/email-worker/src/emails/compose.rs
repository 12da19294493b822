//! Makes the message of a mail.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::Timestamp;
use common::autolink::may_become_link;
use contracts::Language;
use lettre::address::{AddressError, Envelope};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use minijinja::{Environment, context};
use uuid::Uuid;

use super::template::{self, Template};
use super::text::one_line;

/// Bytes of text in one encoded word, which may have 75 characters (RFC 2047, 2).
const ENCODED_WORD_BYTES: usize = 45;

/// Why the service can't write mails at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("mail.from must be an address such as `Waypost <hello@example.org>`")]
    From(#[source] AddressError),
    #[error("a template is broken")]
    Template(#[source] minijinja::Error),
}

/// Why one mail can't be written. Holds no personal data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    #[error("the recipient's address is not one that mail can go to")]
    Address,
    #[error("the template can't be rendered")]
    Template(#[source] minijinja::Error),
    #[error("the message can't be built")]
    Message(#[source] lettre::error::Error),
}

/// What a mail is about.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) template: Template,
    pub(crate) name: &'a str,
    pub(crate) locale: &'a str,
}

/// Where a mail goes and what it is known by.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) to: &'a str,
    /// The event that asked for the mail. The Message-ID is made of it, so it is the same at every try.
    pub(crate) source_event_id: Uuid,
    pub(crate) date: Timestamp,
}

/// Writes mails.
pub(crate) struct Emails {
    environment: Environment<'static>,
    from: Mailbox,
}

impl Emails {
    /// Reads the templates and the sender's address.
    pub(crate) fn new(from: &str) -> Result<Self, SetupError> {
        Ok(Self {
            environment: template::environment().map_err(SetupError::Template)?,
            from: from.parse().map_err(SetupError::From)?,
        })
    }

    /// The Message-ID, without angle brackets, of the mail that an event asks for.
    pub(crate) fn message_id(&self, source_event_id: Uuid, template: Template) -> String {
        format!("{source_event_id}.{}@{}", template.name(), self.from.email.domain())
    }

    /// Writes one mail. The same arguments give the same bytes.
    pub(crate) fn compose(&self, header: Header<'_>, content: Content<'_>) -> Result<Message, ComposeError> {
        let Header {
            to,
            source_event_id,
            date,
        } = header;
        let address: Address = to.parse().map_err(|_| ComposeError::Address)?;
        // Whoever signed up may have given the address of somebody else: nothing that they wrote becomes a link in the mail.
        let name = if may_become_link(content.name) {
            String::new()
        } else {
            one_line(content.name)
        };
        let [subject, text, html] = self.render(content, &name)?;
        let envelope =
            Envelope::new(Some(self.from.email.clone()), vec![address.clone()]).map_err(ComposeError::Message)?;
        let to = Mailbox::new(Some(name), address);
        let message_id = format!("<{}>", self.message_id(source_event_id, content.template));
        let body = MultiPart::alternative()
            .boundary(source_event_id.simple().to_string())
            .singlepart(SinglePart::plain(text))
            .singlepart(SinglePart::html(html));
        Message::builder()
            .raw_header(mailbox_header("From", &self.from))
            .raw_header(mailbox_header("To", &to))
            .envelope(envelope)
            .raw_header(subject_header(&one_line_subject(&subject)))
            .message_id(Some(message_id))
            .date(system_time(date))
            // No out-of-office reply should answer the mail (RFC 3834). Exchange heeds only the second header.
            .raw_header(plain_header("Auto-Submitted", "auto-generated"))
            .raw_header(plain_header("X-Auto-Response-Suppress", "All"))
            .multipart(body)
            .map_err(ComposeError::Message)
    }

    fn render(&self, content: Content<'_>, name: &str) -> Result<[String; 3], ComposeError> {
        let part = |template| {
            self.environment
                .get_template(template)
                .and_then(|template| template.render(context! { name }))
                .map_err(ComposeError::Template)
        };
        let [subject, text, html] = content.template.parts(Language::of(content.locale));
        Ok([part(subject)?, part(text)?, part(html)?])
    }
}

/// A template's file ends with a line break; a subject has none.
fn one_line_subject(subject: &str) -> String {
    subject.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The subject, encoded where it must be (RFC 2047).
///
/// lettre leaves ASCII as it is, also when it looks encoded: a name with `=?utf-8?Q?..?=` in it would be
/// shown as something else than the person wrote.
fn subject_header(subject: &str) -> HeaderValue {
    if !subject.contains("=?") {
        return plain_header("Subject", subject);
    }
    let name = HeaderName::new_from_ascii_str("Subject");
    HeaderValue::dangerous_new_pre_encoded(name, subject.to_owned(), encoded_words(subject))
}

/// A sender or recipient: name and address (RFC 5322, 3.4).
///
/// A name that is more than words of letters and digits stands in quotes. A name that is not ASCII, or looks encoded, is
/// encoded. lettre would leave a dot without quotes, and some parsers read no address behind the name `.`.
fn mailbox_header(header: &'static str, mailbox: &Mailbox) -> HeaderValue {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == ' ';
    let (name, address) = (mailbox.name.as_deref().unwrap_or_default(), &mailbox.email);
    let shown = if name.is_empty() {
        address.to_string()
    } else if !name.is_ascii() || name.contains("=?") {
        // Name and address stand on lines of their own: together they may be too long for one line.
        format!("{}\r\n <{address}>", encoded_words(name))
    } else if name.chars().all(is_word) {
        format!("{name} <{address}>")
    } else {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{quoted}\" <{address}>")
    };
    // lettre looks for a sender in what is not encoded.
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(header), mailbox.to_string(), shown)
}

/// A text as encoded words (RFC 2047), each on a line of its own.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(ENCODED_WORD_BYTES));
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

fn plain_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn system_time(at: Timestamp) -> SystemTime {
    let micros = u64::try_from(at.as_micros()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn written(name: &str) -> String {
        written_from("Waypost <hello@example.org>", name)
    }

    fn written_from(from: &str, name: &str) -> String {
        let emails = Emails::new(from).unwrap();
        let header = Header {
            to: "ada@example.com",
            source_event_id: Uuid::nil(),
            date: Timestamp::from_micros(0),
        };
        let content = Content {
            template: Template::Welcome,
            name,
            locale: "en",
        };
        String::from_utf8(emails.compose(header, content).unwrap().formatted()).unwrap()
    }

    #[test]
    fn any_name_is_shown_as_it_was_written_and_every_parser_finds_the_address() {
        for name in [
            "Ada Lovelace",
            ".",
            "J. R. Smith",
            "D'Arcy, (Anne) <x@example.org>",
            r#"back\slash "quote""#,
            "=?utf-8?Q?x?=",
            "王小明",
            "a@b",
            &"é".repeat(90),
        ] {
            let mail = written(name);
            let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
            let to = parsed.to().unwrap().first().unwrap();
            assert_eq!(
                (to.name(), to.address()),
                (Some(name), Some("ada@example.com")),
                "{mail}"
            );
            assert!(mail.lines().all(|line| line.len() <= 998));
        }
        for name in [
            "win at evil.com",
            "win at evil.com.",
            "http://evil.example/x",
            "www.evil.example",
        ] {
            let mail = written(name);
            assert!(!mail.contains("evil"), "{mail}");
            assert!(
                mail.contains("Subject: Welcome to Waypost\r\n") && mail.contains("Hello,"),
                "{mail}"
            );
        }
        assert!(written(".").contains("\r\nTo: \".\" <ada@example.com>\r\n"));
        assert!(written("").contains("\r\nTo: ada@example.com\r\n"));
        assert!(written("Ada").contains("\r\nX-Auto-Response-Suppress: All\r\n"));
    }

    #[test]
    fn the_sender_is_written_as_a_recipient_is() {
        for (from, header, name) in [
            ("hello@example.org", "hello@example.org", None),
            (
                "Acme Support <hello@example.org>",
                "Acme Support <hello@example.org>",
                Some("Acme Support"),
            ),
            (
                "Acme.com <hello@example.org>",
                "\"Acme.com\" <hello@example.org>",
                Some("Acme.com"),
            ),
            (
                r#""Acme, Inc. \"A\"" <hello@example.org>"#,
                r#""Acme, Inc. \"A\"" <hello@example.org>"#,
                Some(r#"Acme, Inc. "A""#),
            ),
            (
                "航点 <hello@example.org>",
                "=?utf-8?b?6Iiq54K5?=\r\n <hello@example.org>",
                Some("航点"),
            ),
        ] {
            let mail = written_from(from, "Ada");
            assert!(mail.starts_with(&format!("From: {header}\r\n")), "{mail}");
            let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
            let sender = parsed.from().unwrap().first().unwrap();
            assert_eq!((sender.name(), sender.address()), (name, Some("hello@example.org")));
        }
    }
}
