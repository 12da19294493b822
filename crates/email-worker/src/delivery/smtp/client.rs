//! One mail over one connection: which connection, which steps, and what came of it.

use std::time::{Duration, Instant};

use common::dispatch::{ExchangeStatus, Progress};
use common::process::{Finding, State};
use common::tls::Authorities;
use lettre::Message;
use lettre::transport::smtp::commands::Rset;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{Instrument, Span, field, info_span};

use super::connection::Connection;
use super::failure::{Failure, Meaning};
use super::idle::Idle;
use super::kept;
use super::letter::{Letter, domain_of, greet, transfer};
use super::pace::{Deadlines, LIVELY, Pace};
use super::relay::{Pass, Relay};
use super::rest::Trouble;
use super::server::Server;
use super::verdict::{Stage, Verdict};
use crate::delivery::error::{SendError, TransportError};

/// A mail that got no turn asks again after this.
const NO_TURN: Duration = Duration::from_secs(1);

/// A mail server.
pub(crate) struct Smtp {
    server: Server,
    relay: Mutex<Relay>,
    /// What is to be done about a server that is away, where that is known.
    cure: Mutex<Option<&'static str>>,
    idle: Idle,
    turns: Semaphore,
    deadlines: Deadlines,
}

/// A mail that the relay may be given. Dropping it says that its conversation is over.
struct Visit<'a> {
    smtp: &'a Smtp,
    pass: Pass,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.smtp.relay().leave(&self.pass);
    }
}

impl Smtp {
    /// The server of `url`. We greet it as `hello`, unless the URL's path has another name.
    /// Over TLS only certificates from `authorities` are trusted; without them, those that browsers trust.
    pub(crate) fn new(url: &str, hello: &str, authorities: Option<&Authorities>) -> Result<Self, TransportError> {
        Ok(Self {
            server: Server::parse(url, hello, authorities)?,
            relay: Mutex::default(),
            cure: Mutex::default(),
            idle: Idle::default(),
            turns: Semaphore::new(LIVELY),
            deadlines: Deadlines::USUAL,
        })
    }

    /// How the last mails went.
    pub(crate) fn finding(&self) -> Finding {
        let trouble = self.relay().trouble();
        match trouble {
            None => State::Up.into(),
            Some(Trouble::Refused) => State::Down.into(),
            Some(Trouble::Away) => Finding {
                cure: self.cure().map(Into::into),
                ..State::Down.into()
            },
        }
    }

    /// Whether the server is left alone because it refuses us.
    pub(crate) fn refuses(&self) -> bool {
        self.relay().trouble() == Some(Trouble::Refused)
    }

    /// Sends one mail, unless the server or the recipient's domain rests: then it fails at once with [`SendError::Resting`].
    ///
    /// # Cancel safety
    /// A dropped send closes its connection. What the server makes of it is then unknown.
    pub(crate) async fn send(&self, message: &Message, progress: &Progress) -> Result<(), SendError> {
        let pass = self.relay().admit(&domain_of(message), Instant::now());
        self.visit(message, progress, pass).await
    }

    /// Sends one mail also while the server rests, to find out how it is. Only one mail at a time may do so.
    ///
    /// # Cancel safety
    /// As [`Self::send`].
    pub(crate) async fn probe(&self, message: &Message, progress: &Progress) -> Result<(), SendError> {
        let pass = self.relay().admit_probe(&domain_of(message), Instant::now());
        self.visit(message, progress, pass).await
    }

    async fn visit(
        &self,
        message: &Message,
        progress: &Progress,
        pass: Result<Pass, Duration>,
    ) -> Result<(), SendError> {
        let envelope = message.envelope();
        let visit = Visit {
            smtp: self,
            pass: pass.map_err(|after| SendError::Resting { after })?,
        };
        let Some(mut pace) = Pace::begin(&self.turns, self.deadlines).await else {
            return Err(SendError::Resting { after: NO_TURN });
        };
        let span = info_span!(
            "send",
            otel.name = "send email",
            otel.kind = "client",
            otel.status_code = field::Empty,
            server.address = self.server.host(),
            server.port = self.server.port(),
            network.protocol.name = "smtp",
            error.type = field::Empty,
        );
        async {
            let text = message.formatted();
            let letter = Letter {
                envelope,
                text: &text,
                progress,
            };
            let sent = self.converse(&mut pace, letter).await;
            self.keep(&sent, (&text, progress));
            if let Err(failure) = &sent {
                let span = Span::current();
                span.record("otel.status_code", "ERROR");
                span.record("error.type", failure.kind());
            }
            self.judge(sent.map(drop), &visit.pass)
        }
        .instrument(span)
        .await
    }

    /// Keeps what was said in a conversation, for those who ask later what became of the mail.
    fn keep(&self, outcome: &Result<String, Failure>, (sent, progress): (&[u8], &Progress)) {
        let Some(exchange) = kept::exchange(outcome, self.server.unsaid(), sent) else {
            return;
        };
        if matches!(exchange.status, ExchangeStatus::Accepted | ExchangeStatus::Unknown) {
            progress.held_by(kept::MAIL);
        }
        progress.note(exchange);
    }

    /// What came of a conversation, for the mail and for those after it.
    fn judge(&self, sent: Result<(), Failure>, pass: &Pass) -> Result<(), SendError> {
        let now = Instant::now();
        let Err(failure) = sent else {
            if self.relay().took(pass) {
                tracing::info!("the mail server takes mail again");
            }
            return Ok(());
        };
        let error = failure.to_string();
        let refused = |after: Duration| {
            let rest_s = after.as_secs();
            tracing::error!(
                error,
                rest_s,
                "the mail server refuses us and is left alone: check mail.url, the account there and mail.from"
            );
            after
        };
        let is_named = matches!(failure.stage, Stage::Recipient | Stage::Data | Stage::Text);
        Err(match failure.meaning() {
            Meaning::Refused(Verdict::Mailbox | Verdict::Mail) => SendError::Rejected(error),
            Meaning::Refused(Verdict::Later) | Meaning::Broken => SendError::Temporary { error, after: None },
            Meaning::Refused(Verdict::Us) => {
                let after = self.relay().suspect(pass, now).map(refused);
                if after.is_none() {
                    tracing::warn!(error, "the mail server refused a mail, perhaps because of us: it waits");
                }
                SendError::Temporary { error, after }
            }
            Meaning::Refused(Verdict::Pair) => match self.relay().slow(pass, now) {
                _ if is_named => SendError::Temporary { error, after: None },
                after => SendError::Unreachable { error, after },
            },
            Meaning::Refused(Verdict::Relay) => {
                let after = refused(self.relay().rest(pass, Trouble::Refused, now));
                match failure.stage {
                    Stage::Connect | Stage::Login => SendError::Unreachable { error, after },
                    _ => SendError::Temporary {
                        error,
                        after: Some(after),
                    },
                }
            }
            Meaning::Away => {
                *self.cure() = failure.cure();
                let after = self.relay().rest(pass, Trouble::Away, now);
                SendError::Unreachable { error, after }
            }
            Meaning::Unknown => SendError::Unknown(error),
        })
    }

    /// Hands the letter over; gives back the server's reply to the text.
    async fn converse(&self, pace: &mut Pace<'_>, letter: Letter<'_>) -> Result<String, Failure> {
        let mut connection = self.begin(pace, letter).await?;
        if self.relay().reached() {
            tracing::info!("the mail server can be reached again");
        }
        let sent = transfer(&mut connection, pace, letter).await;
        let reset = pace.deadlines.reset;
        // A refusal leaves the connection whole; it can take the next mail.
        let is_clean = match &sent {
            Ok(_) => true,
            Err(failure) if failure.leaves_whole() => {
                let resetting = connection.say(failure.stage, Rset);
                matches!(timeout(reset, resetting).await, Ok(Ok(())))
            }
            Err(_) => false,
        };
        if is_clean {
            self.idle.keep(connection);
        }
        sent
    }

    /// A connection on which the server took the sender: a rested one, or else a new one. A rested connection may be gone,
    /// or have had as many mails as the server allows, so only what a new connection is told counts as the server's word.
    async fn begin(&self, pace: &mut Pace<'_>, letter: Letter<'_>) -> Result<Connection, Failure> {
        let Deadlines { reuse, step, .. } = pace.deadlines;
        let envelope = letter.envelope;
        if let Some(mut connection) = self.idle.take() {
            let greeting = greet(&mut connection, envelope);
            match pace.step(Stage::Sender, reuse, greeting).await {
                Ok(()) => return Ok(connection),
                Err(stale) => {
                    tracing::debug!(%stale, "a rested connection was of no use");
                    if let Some(exchange) = kept::on_a_rested_one(&stale, &self.server.unsaid()) {
                        letter.progress.note(exchange);
                    }
                }
            }
        }
        let mut connection = self.server.connect(pace).await?;
        let greeting = greet(&mut connection, envelope);
        pace.step(Stage::Sender, step, greeting).await?;
        Ok(connection)
    }

    fn cure(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.cure.lock()
    }

    fn relay(&self) -> MutexGuard<'_, Relay> {
        self.relay.lock()
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
