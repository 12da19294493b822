//! Confirmed publishes, many at a time.

use std::sync::Arc;

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::amqp;
use super::deadline::{CONFIRM, CallError, within};
use super::link::Link;
use super::names::{Destination, Names};
use super::session::Session;
use crate::messaging::error::PublishError;
use crate::messaging::wire::Wire;

/// Publishes that may wait for their confirmation at once: enough to keep the broker busy
/// (a window of 100 was ten times as fast as one), few enough to lose little to a broken connection. More than a relay has on
/// its way: the copies of messages that are tried again or set aside must not wait behind it.
const WINDOW: usize = 384;

/// Publishes with confirmation, many at a time over one channel. Cheap to clone.
#[derive(Clone)]
pub(super) struct Publisher {
    names: Arc<Names>,
    link: Link,
    window: Arc<Semaphore>,
}

/// A message as it is sent.
struct Sent<'a> {
    exchange: &'a str,
    key: &'a str,
    body: &'a [u8],
    properties: BasicProperties,
}

impl Publisher {
    pub(super) fn new(names: Arc<Names>, link: Link) -> Self {
        Self {
            names,
            link,
            window: Arc::new(Semaphore::new(WINDOW)),
        }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Sends the message and waits for the confirmation, for 10 s at most, after a wait for a place that may take as long.
    ///
    /// A message that no queue takes comes back, and lapin hands it to whichever publish of its channel is confirmed next.
    /// An event comes back only when even the queue of events that nobody binds is missing. A message to one queue comes
    /// back whenever that queue is missing, so it is sent alone on its channel.
    pub(super) async fn publish(&self, destination: &Destination<'_>, wire: &Wire) -> Result<(), PublishError> {
        let Ok(Ok(_permit)) = timeout(CONFIRM, self.window.acquire()).await else {
            return Err(PublishError::Unavailable);
        };
        let session = self.link.session().ok_or(PublishError::Unavailable)?;
        if session.is_blocked() {
            return Err(PublishError::Unavailable);
        }
        let (exchange, key) = self.names.route(destination);
        let message = Sent {
            exchange: &exchange,
            key: &key,
            body: &wire.body,
            properties: amqp::properties(wire),
        };
        let confirmed = match destination {
            Destination::Event(_) => settled(&session, send(&session.channel, &message)).await?,
            Destination::Work(_) | Destination::Delay(..) | Destination::Dead(_) => alone(&session, &message).await?,
        };
        let Some(returned) = confirmed else { return Ok(()) };
        session.misses("a queue for a message");
        if returned.properties.message_id() != message.properties.message_id() {
            give_on(&session, returned).await;
        }
        Err(PublishError::Unroutable)
    }
}

/// Publishes while nothing else does on the same channel.
async fn alone(session: &Session, message: &Sent<'_>) -> Result<Option<Box<BasicReturnMessage>>, PublishError> {
    let sending = async { send(&*session.single().await, message).await };
    settled(session, sending).await
}

/// Sends another publish's message again, which came back to this one. The other publish was confirmed: nobody else sends
/// the message again.
async fn give_on(session: &Session, returned: Box<BasicReturnMessage>) {
    let message = Sent {
        exchange: returned.exchange.as_str(),
        key: returned.routing_key.as_str(),
        body: &returned.data,
        properties: returned.properties.clone(),
    };
    let end = tokio::time::Instant::now() + CONFIRM;
    while tokio::time::Instant::now() < end {
        match alone(session, &message).await {
            Ok(None) => return,
            Ok(Some(_)) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            Err(_) => break,
        }
    }
    let id = message.properties.message_id().as_ref().map(ToString::to_string);
    tracing::error!(
        id,
        key = message.key,
        "a message was lost: no queue was there to take it"
    );
}

async fn send(channel: &Channel, message: &Sent<'_>) -> Result<Confirmation, lapin::Error> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let (exchange, key) = (message.exchange.into(), message.key.into());
    let sent = channel.basic_publish(exchange, key, options, message.body, message.properties.clone());
    sent.await?.await
}

/// What came of a publish: a message that came back with the confirmation, if one did, or why it is not confirmed.
async fn settled(
    session: &Session,
    sending: impl Future<Output = Result<Confirmation, lapin::Error>>,
) -> Result<Option<Box<BasicReturnMessage>>, PublishError> {
    let confirmed = tokio::select! {
        confirmed = within(CONFIRM, sending) => confirmed,
        // Another task found that the broker does not answer, or the service stops and can't wait as long.
        () = session.broken() => return Err(PublishError::Unknown),
        () = session.ended() => return Err(PublishError::Unknown),
    };
    match confirmed {
        Ok(Confirmation::Ack(None)) => Ok(None),
        Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => Ok(Some(Box::new(returned))),
        Ok(Confirmation::Nack(None)) => {
            // The queue is full, or has no leader: the broker does not say which.
            session.leaders().suspect();
            Err(PublishError::Refused)
        }
        Ok(Confirmation::NotRequested) => {
            session.give_up("the channel does not confirm");
            Err(PublishError::Unknown)
        }
        Err(CallError::Silent(_)) if session.is_blocked() => Err(PublishError::Unknown),
        Err(error) => {
            session.give_up(&error.to_string());
            Err(if was_not_sent(&error) {
                PublishError::Unavailable
            } else {
                PublishError::Unknown
            })
        }
    }
}

/// Whether lapin refused the call before it wrote anything.
fn was_not_sent(error: &CallError) -> bool {
    let CallError::Lapin(error) = error else { return false };
    matches!(
        error.kind(),
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_)
    )
}
