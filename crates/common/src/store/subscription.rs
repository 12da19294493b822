//! What is published in the store, as it is heard: over a connection of its own that is known to be alive.

use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::aio::{PubSub, PubSubSink, PubSubStream};
use deadpool_redis::redis::{RedisResult, Value};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until, timeout};

use super::StoreError;

/// Dialling, greeting and subscribing.
const BEGIN: Duration = Duration::from_millis(500);
/// How often the connection is asked whether it stands; with the time for its answer, silence is noticed in a second.
const PING_EVERY: Duration = Duration::from_millis(400);
/// The time for its answer.
const PING_ANSWER: Duration = Duration::from_millis(400);

/// A subscription is over: its connection was closed or does not answer, or it was too slow. Messages may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subscription was lost")]
pub struct Lost;

/// What a subscription has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Somebody published this.
    Message(Bytes),
    /// Whatever was published before this moment has been handed out.
    Everything {
        /// When the server was asked.
        until: Instant,
    },
}

/// The messages of one channel from now on, as long as it is certain that none is missed.
pub struct Subscription {
    source: Source,
    ping_at: Instant,
    /// The server has answered a ping that left then; what it sent before is still to be handed out.
    answered: Option<Instant>,
}

enum Source {
    Redis { sink: PubSubSink, messages: PubSubStream },
    Memory { channel: String, messages: Messages },
}

type Messages = broadcast::Receiver<(String, Bytes)>;

impl Subscription {
    /// Subscribes on a connection that is being dialled.
    pub(super) async fn begin(
        dialled: impl Future<Output = RedisResult<PubSub>>,
        channel: &str,
    ) -> Result<Self, StoreError> {
        let begun = timeout(BEGIN, async {
            let mut connection = dialled.await?;
            connection.subscribe(channel).await?;
            Ok(connection)
        });
        let connection = match begun.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) if is_of_the_connection(&error) => return Err(StoreError::Away),
            Ok(Err(error)) => return Err(StoreError::Refused(error)),
            Err(_) => return Err(StoreError::TimedOut),
        };
        let (sink, messages) = connection.split();
        Ok(Self::of(Source::Redis { sink, messages }))
    }

    pub(super) fn memory(channel: String, messages: Messages) -> Self {
        Self::of(Source::Memory { channel, messages })
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            ping_at: Instant::now(),
            answered: None,
        }
    }

    /// The next message, or, several times a second, that everything was handed out.
    ///
    /// # Errors
    /// [`Lost`], within a second, when it is not certain any more that messages arrive.
    pub async fn next(&mut self) -> Result<Heard, Lost> {
        loop {
            if let Some(until) = self.answered {
                // Messages that the server sent before its answer are here already; tokio's budget must not hide them.
                if let Some(message) = unconstrained(self.source.message()).now_or_never() {
                    return message.map(Heard::Message);
                }
                self.answered = None;
                return Ok(Heard::Everything { until });
            }
            tokio::select! {
                message = self.source.message() => return message.map(Heard::Message),
                () = sleep_until(self.ping_at) => {
                    let asked = Instant::now();
                    self.source.ping().await?;
                    self.answered = Some(asked);
                    self.ping_at = asked + PING_EVERY;
                }
            }
        }
    }
}

impl Source {
    async fn message(&mut self) -> Result<Bytes, Lost> {
        match self {
            Self::Redis { messages, .. } => {
                let message = messages.next().await.ok_or(Lost)?;
                Ok(Bytes::copy_from_slice(message.get_payload_bytes()))
            }
            Self::Memory { channel, messages } => loop {
                let (on, message) = messages.recv().await.map_err(|_| Lost)?;
                if on == *channel {
                    return Ok(message);
                }
            },
        }
    }

    async fn ping(&mut self) -> Result<(), Lost> {
        match self {
            Self::Redis { sink, .. } => {
                let answered = timeout(PING_ANSWER, sink.ping::<Value>()).await;
                answered.map_err(|_| Lost)?.map(drop).map_err(|_| Lost)
            }
            Self::Memory { .. } => Ok(()),
        }
    }
}

fn is_of_the_connection(error: &deadpool_redis::redis::RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()
}
