//! Confirmed publishes, many at a time.

use std::sync::Arc;

use lapin::options::BasicPublishOptions;
use lapin::{Confirmation, ErrorKind};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::amqp;
use super::deadline::{CONFIRM, CallError, within};
use super::link::Link;
use super::names::{Destination, Names};
use crate::messaging::error::PublishError;
use crate::messaging::wire::Wire;

/// Publishes that may wait for their confirmation at once: enough to keep the broker busy
/// (a window of 100 was ten times as fast as one), few enough to lose little to a broken connection.
const WINDOW: usize = 256;

/// Publishes with confirmation, many at a time over one channel. Cheap to clone.
#[derive(Clone)]
pub(super) struct Publisher {
    names: Arc<Names>,
    link: Link,
    window: Arc<Semaphore>,
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

    /// Sends the message and waits for the confirmation, for as long as a confirmation may take.
    pub(super) async fn publish(&self, destination: &Destination<'_>, wire: &Wire) -> Result<(), PublishError> {
        let Ok(Ok(_permit)) = timeout(CONFIRM, self.window.acquire()).await else {
            return Err(PublishError::Unavailable);
        };
        let session = self.link.session().ok_or(PublishError::Unavailable)?;
        if session.is_blocked() {
            return Err(PublishError::Unavailable);
        }
        let (exchange, key) = self.names.route(destination);
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let properties = amqp::properties(wire);
        let sending = async {
            let sent = session
                .channel
                .basic_publish(exchange.into(), key.into(), options, &wire.body, properties);
            sent.await?.await
        };
        let confirmed = tokio::select! {
            confirmed = within(CONFIRM, sending) => confirmed,
            // Somebody else found that nobody answers, or the service stops and can't wait as long.
            () = session.broken() => return Err(PublishError::Unknown),
            () = session.ended() => return Err(PublishError::Unknown),
        };
        match confirmed {
            Ok(Confirmation::Ack(None)) => Ok(()),
            // Acknowledged and yet returned: no queue was there to take it.
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
                session.misses("a queue for a message");
                Err(PublishError::Unroutable)
            }
            Ok(Confirmation::Nack(None)) => Err(PublishError::Refused),
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
}

/// lapin refused before it wrote anything.
fn was_not_sent(error: &CallError) -> bool {
    let CallError::Lapin(error) = error else { return false };
    matches!(
        error.kind(),
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_)
    )
}
