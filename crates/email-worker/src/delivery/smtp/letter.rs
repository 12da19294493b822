//! What one conversation hands over, and the commands that do it.

use common::dispatch::Progress;
use lettre::address::Envelope;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::MailParameter;
use lettre::{Address, Message};

use super::connection::Connection;
use super::failure::Failure;
use super::pace::{Deadlines, Pace};
use super::verdict::Stage;

/// What one conversation hands over.
#[derive(Clone, Copy)]
pub(super) struct Letter<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) text: &'a [u8],
    /// Marked before the text goes.
    pub(super) progress: &'a Progress,
}

/// The domain of the first recipient, in lower case. The mails to one domain are slowed together.
pub(super) fn domain_of(message: &Message) -> String {
    let to = message.envelope().to().first();
    to.map(|to| to.domain().to_ascii_lowercase()).unwrap_or_default()
}

/// MAIL FROM; with SMTPUTF8 (RFC 6531) where an address is not ASCII.
pub(super) async fn greet(connection: &mut Connection, envelope: &Envelope) -> Result<(), Failure> {
    let is_international = |address: &Address| !AsRef::<str>::as_ref(address).is_ascii();
    let mut parameters = Vec::new();
    let from = envelope.from().is_some_and(is_international);
    if from || envelope.to().iter().any(is_international) {
        if !connection.takes_international_addresses() {
            let what = "the mail server takes no international addresses";
            return Err(Failure::unsupported(
                if from { Stage::Sender } else { Stage::Recipient },
                what,
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let command = Mail::new(envelope.from().cloned(), parameters);
    connection.say(Stage::Sender, command).await
}

/// RCPT TO, DATA and the text. The text is ASCII: `lettre` encodes all parts.
pub(super) async fn transfer(
    connection: &mut Connection,
    pace: &mut Pace<'_>,
    letter: Letter<'_>,
) -> Result<String, Failure> {
    let Deadlines { step, text: limit, .. } = pace.deadlines;
    for recipient in letter.envelope.to() {
        let command = Rcpt::new(recipient.clone(), Vec::new());
        let saying = connection.say(Stage::Recipient, command);
        pace.step(Stage::Recipient, step, saying).await?;
    }
    pace.step(Stage::Data, step, connection.say(Stage::Data, Data)).await?;
    letter.progress.begin();
    pace.step(Stage::Text, limit, connection.text(letter.text)).await
}
