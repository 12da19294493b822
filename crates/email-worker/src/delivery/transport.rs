//! The one way out for mail, whichever kind `mail.url` names.

use common::dispatch::{Exchange, ExchangeStatus, Progress};
use common::process::{Finding, State};
use lettre::Message;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::error::{SendError, TransportError};
use super::folder::Folder;
use super::smtp::Smtp;
use crate::settings::{Mail, MailUrl};

/// Where mail goes: a server, or a folder.
pub(crate) enum Transport {
    Smtp(Box<Smtp>),
    Folder(Folder),
}

impl Transport {
    /// As the settings say. No connection is made yet.
    pub(crate) fn new(settings: &Mail) -> Result<Self, TransportError> {
        match &settings.url {
            MailUrl::Folder(path) => Folder::create(path).map(Self::Folder).map_err(TransportError::Folder),
            MailUrl::Server(url) => {
                let authorities = settings.authorities()?;
                let smtp = Smtp::new(url.expose_secret(), hello_name(settings), authorities.as_ref())?;
                Ok(Self::Smtp(Box::new(smtp)))
            }
            MailUrl::Unknown => Err(TransportError::Scheme),
        }
    }

    /// Hands one mail over. `id` names its file in a folder, where a second try replaces the first. `progress` is told just
    /// before the text goes to a mail server.
    ///
    /// # Cancel safety
    /// May be dropped at any point; a connection in the middle of a conversation is then closed.
    pub(crate) async fn send(&self, id: Uuid, message: &Message, progress: &Progress) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(message, progress).await,
            Self::Folder(folder) => write(folder, id, (message, progress)).await,
        }
    }

    /// Hands one mail over at once, also to a server that rests, to find out how the server is.
    ///
    /// # Cancel safety
    /// As [`Self::send`].
    pub(crate) async fn probe(&self, id: Uuid, message: &Message, progress: &Progress) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.probe(message, progress).await,
            Self::Folder(folder) => write(folder, id, (message, progress)).await,
        }
    }

    /// Whether the mail server is left alone because it refuses us.
    pub(crate) fn refuses(&self) -> bool {
        match self {
            Self::Smtp(smtp) => smtp.refuses(),
            Self::Folder(_) => false,
        }
    }

    /// How the last mails went. No mail is made up to find out, and no connection is opened.
    pub(crate) fn finding(&self) -> Finding {
        match self {
            Self::Smtp(smtp) => smtp.finding(),
            Self::Folder(_) => State::Up.into(),
        }
    }
}

async fn write(folder: &Folder, id: Uuid, (message, progress): (&Message, &Progress)) -> Result<(), SendError> {
    folder.write(id, &message.formatted()).await?;
    progress.note(Exchange {
        provider: "mail".to_owned(),
        status: ExchangeStatus::Accepted,
        answer: Some("written into the folder of mail.url".to_owned()),
        reason: None,
    });
    Ok(())
}

/// Who we are to a mail server. The name of this host is nobody's business, and many servers refuse one without a domain.
fn hello_name(settings: &Mail) -> &str {
    if !settings.hello_name.is_empty() {
        return &settings.hello_name;
    }
    let domain = settings.from.rsplit('@').next().unwrap_or_default();
    domain.trim_end_matches('>').trim()
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
