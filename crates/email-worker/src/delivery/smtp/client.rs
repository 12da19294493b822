//! One mail over one connection: which connection, which steps, which deadlines.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::dispatch::Begun;
use common::process::State;
use common::resilience::Backoff;
use lettre::Message;
use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, Span, field, info_span};

use super::failure::{Failure, Stage};
use super::server::Server;
use crate::delivery::error::{SendError, TransportError};

/// One mail, from the connection to the server's last word; the answer to the text may be slow.
const SEND_TIMEOUT: Duration = Duration::from_mins(1);
/// The first word on a reused connection: a dead one must not cost the whole time.
const REUSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Cleaning up a connection after a refusal.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that rested longer is not used again: servers close them after some minutes.
const MAX_REST: Duration = Duration::from_secs(30);
/// Connections that are kept.
const MAX_IDLE: usize = 8;
/// Waits while the server can't be reached.
const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    limit: Duration::from_secs(30),
};

/// A mail server.
pub(crate) struct Smtp {
    server: Server,
    /// Connections that wait for the next mail, the one used last at the end.
    idle: Mutex<Vec<Idle>>,
    /// Attempts to connect that failed since the last that did not.
    failed_connects: AtomicU32,
    send_timeout: Duration,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    pub(crate) fn new(url: &str) -> Result<Self, TransportError> {
        Ok(Self {
            server: Server::parse(url)?,
            idle: Mutex::default(),
            failed_connects: AtomicU32::new(0),
            send_timeout: SEND_TIMEOUT,
        })
    }

    pub(crate) fn state(&self) -> State {
        match self.failed_connects.load(Ordering::Relaxed) {
            0 => State::Up,
            _ => State::Down,
        }
    }

    /// Sends one mail.
    ///
    /// # Cancel safety
    /// A dropped send closes its connection. What the server makes of it is then unknown.
    pub(crate) async fn send(&self, message: &Message, begun: &Begun) -> Result<(), SendError> {
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
            let sent = self.converse(message.envelope(), &message.formatted(), begun).await;
            if let Err(failure) = &sent {
                let span = Span::current();
                span.record("otel.status_code", "ERROR");
                span.record("error.type", failure.kind());
            }
            sent.map_err(|failure| self.judge(&failure))
        }
        .instrument(span)
        .await
    }

    /// What a failure means for the mail.
    fn judge(&self, failure: &Failure) -> SendError {
        let error = failure.to_string();
        match failure.stage {
            // About the server, or about our access to it, not about this mail.
            Stage::Connect => {
                let failed = self.failed_connects.fetch_add(1, Ordering::Relaxed);
                SendError::Unreachable {
                    error,
                    after: PAUSE.delay(failed.min(30), rand::random()),
                }
            }
            Stage::Text if !failure.is_reply() => SendError::Unknown(error),
            // Nobody was named yet: what is refused is us (530, log in first), and that can be put right.
            Stage::Sender if failure.is_refusal() => {
                tracing::error!(
                    error,
                    "the mail server does not take mail from us: check mail.url and mail.from"
                );
                SendError::Temporary(error)
            }
            _ if failure.is_permanent() => SendError::Rejected(error),
            _ => SendError::Temporary(error),
        }
    }

    async fn converse(&self, envelope: &Envelope, text: &[u8], begun: &Begun) -> Result<(), Failure> {
        let deadline = Instant::now() + self.send_timeout;
        let mut connection = self.begin(envelope, deadline).await?;
        let sent = async {
            prepare(&mut connection, envelope, deadline).await?;
            begun.mark();
            let sent = timeout_at(deadline, connection.message(text)).await;
            Failure::unless_done(Stage::Text, sent).map(drop)
        };
        match sent.await {
            Ok(()) => {
                self.keep(connection);
                Ok(())
            }
            Err(failure) => {
                // A refusal leaves the connection whole; it can take the next mail.
                let clean = failure.is_reply() && !failure.closes();
                if clean && matches!(timeout(RESET_TIMEOUT, connection.command(Rset)).await, Ok(Ok(_))) {
                    self.keep(connection);
                }
                Err(failure)
            }
        }
    }

    /// A connection on which the server took the sender: a rested one, or a new one when that was stale.
    async fn begin(&self, envelope: &Envelope, deadline: Instant) -> Result<AsyncSmtpConnection, Failure> {
        if let Some(mut connection) = self.rested() {
            let soon = deadline.min(Instant::now() + REUSE_TIMEOUT);
            match greet(&mut connection, envelope, soon).await {
                Ok(()) => {
                    self.failed_connects.store(0, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(failure) if failure.is_reply() && !failure.closes() => return Err(failure),
                Err(stale) => tracing::debug!(%stale, "a rested connection was gone"),
            }
        }
        let connecting = timeout_at(deadline, self.server.connect()).await;
        let mut connection = connecting.unwrap_or_else(|_| Err(Failure::silence(Stage::Connect)))?;
        self.failed_connects.store(0, Ordering::Relaxed);
        greet(&mut connection, envelope, deadline).await?;
        Ok(connection)
    }

    fn rested(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < MAX_REST);
        idle.pop().map(|idle| idle.connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}

/// MAIL FROM.
async fn greet(connection: &mut AsyncSmtpConnection, envelope: &Envelope, deadline: Instant) -> Result<(), Failure> {
    let mut parameters = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::unsupported("the mail server takes no international addresses"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let command = Mail::new(envelope.from().cloned(), parameters);
    Failure::unless_done(Stage::Sender, timeout_at(deadline, connection.command(command)).await)?;
    Ok(())
}

/// RCPT TO and DATA; what is left is the text. That is ASCII: `lettre` encodes all parts.
async fn prepare(connection: &mut AsyncSmtpConnection, envelope: &Envelope, deadline: Instant) -> Result<(), Failure> {
    for recipient in envelope.to() {
        let command = Rcpt::new(recipient.clone(), Vec::new());
        Failure::unless_done(
            Stage::Recipient,
            timeout_at(deadline, connection.command(command)).await,
        )?;
    }
    Failure::unless_done(Stage::Data, timeout_at(deadline, connection.command(Data)).await)?;
    Ok(())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
