//! Makes the message of a mail.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::Timestamp;
use lettre::address::AddressError;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use minijinja::{Environment, context};
use uuid::Uuid;

use super::locale::Locale;
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
    /// The event that asked for it: its Message-ID, the same at every try.
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
        let name = one_line(content.name);
        let [subject, text, html] = self.render(content, &name)?;
        let message_id = format!("<{}>", self.message_id(source_event_id, content.template));
        let body = MultiPart::alternative()
            .boundary(source_event_id.simple().to_string())
            .singlepart(SinglePart::plain(text))
            .singlepart(SinglePart::html(html));
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(name).filter(|name| !name.is_empty()), address))
            .raw_header(subject_header(&one_line_subject(&subject)))
            .message_id(Some(message_id))
            .date(system_time(date))
            // Nobody's out-of-office reply should answer it (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
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
        let [subject, text, html] = content.template.parts(Locale::of(content.locale));
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
    let name = HeaderName::new_from_ascii_str("Subject");
    if !subject.contains("=?") {
        return HeaderValue::new(name, subject.to_owned());
    }
    let mut words = Vec::new();
    let mut rest = subject;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(ENCODED_WORD_BYTES));
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    HeaderValue::dangerous_new_pre_encoded(name, subject.to_owned(), words.join("\r\n "))
}

fn system_time(at: Timestamp) -> SystemTime {
    let micros = u64::try_from(at.as_micros()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
