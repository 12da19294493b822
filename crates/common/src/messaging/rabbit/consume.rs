//! The consuming side of one queue.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::amqp;
use super::deadline::{CALL, CallError, within};
use super::link::Link;
use super::names::{Destination, Names};
use super::publish::Publisher;
use super::session::Session;
use super::topology::is_not_found;
use crate::messaging::consumer::{Intake, Processor, Settlement};
use crate::messaging::wire::Wire;

/// Wait before a consumer that ended is set up again.
const AGAIN: Duration = Duration::from_millis(200);
/// Waits between attempts to move a message: from the first, doubling, to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Consumes one queue, over as many connections as it takes.
pub(super) struct Worker<I> {
    pub(super) names: Arc<Names>,
    /// The connection that messages come over, and are acknowledged on.
    pub(super) link: Link,
    /// Moves messages to delay queues and dead letters.
    pub(super) publisher: Publisher,
    pub(super) processor: Processor<I>,
    pub(super) stopping: CancellationToken,
}

/// Where a delivery can be acknowledged; on no other channel.
#[derive(Clone)]
struct Held {
    session: Arc<Session>,
    channel: Channel,
}

impl<I: Intake> Worker<I> {
    /// Consumes until the service stops, then finishes what is in hand.
    pub(super) async fn run(self) {
        // Outlives a connection: an intake that has committed also finishes what it does after.
        let mut in_hand = FuturesUnordered::new();
        let mut wait = Duration::ZERO;
        while !self.stopping.is_cancelled() {
            let mut subscribing = pin!(self.subscribe(wait));
            wait = AGAIN;
            let subscribed = loop {
                tokio::select! {
                    () = self.stopping.cancelled() => break None,
                    Some(()) = in_hand.next() => {}
                    subscribed = &mut subscribing => break Some(subscribed),
                }
            };
            let Some((held, mut consumer)) = subscribed else { break };
            loop {
                tokio::select! {
                    () = self.stopping.cancelled() => {
                        // A broker that does not answer holds up no intake.
                        let mut taking = pin!(take_the_rest(&held, consumer));
                        let rest = loop {
                            tokio::select! {
                                Some(()) = in_hand.next() => {}
                                rest = &mut taking => break rest,
                            }
                        };
                        in_hand.extend(rest.into_iter().map(|delivery| self.one(held.clone(), delivery)));
                        break;
                    }
                    () = held.session.broken() => break,
                    Some(()) = in_hand.next() => {}
                    delivery = consumer.next() => match delivery {
                        Some(Ok(delivery)) => in_hand.push(self.one(held.clone(), delivery)),
                        // The end of the stream is never the end of the work: the broker took the consumer away.
                        Some(Err(_)) | None => break,
                    },
                }
            }
        }
        while in_hand.next().await.is_some() {}
    }

    /// Sets the consumer up on the connection that works, as often as it takes.
    async fn subscribe(&self, mut wait: Duration) -> (Held, Consumer) {
        loop {
            tokio::time::sleep(wait).await;
            wait = AGAIN;
            let session = self.link.connected().await;
            match within(CALL, self.open(&session)).await {
                Ok((channel, consumer)) => {
                    tracing::info!(queue = self.processor.queue.name, "consuming");
                    return (Held { session, channel }, consumer);
                }
                Err(CallError::Lapin(error)) if is_not_found(&error) => session.misses(self.processor.queue.name),
                Err(error) => session.give_up(&format!("can't consume {}: {error}", self.processor.queue.name)),
            }
        }
    }

    async fn open(&self, session: &Session) -> Result<(Channel, Consumer), lapin::Error> {
        let channel = session.connection.create_channel().await?;
        let prefetch = self.processor.options.prefetch;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let queue = self.names.work(self.processor.queue.name);
        let options = BasicConsumeOptions::default();
        let consumer = channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await?;
        Ok((channel, consumer))
    }

    async fn one(&self, held: Held, delivery: Delivery) {
        let acker = delivery.acker.clone();
        let settlement = self.processor.process(amqp::read(delivery)).await;
        self.settle(&held, acker, settlement).await;
    }

    /// Settles one delivery, once: both are moved in and gone after.
    async fn settle(&self, held: &Held, acker: Acker, settlement: Settlement) {
        let queue = self.processor.queue.name;
        let moved = match settlement {
            Settlement::Ack => true,
            Settlement::Delay { after, copy } => self.move_to(held, &Destination::Delay(queue, after), &copy).await,
            Settlement::Dead { copy } => self.move_to(held, &Destination::Dead(queue), &copy).await,
        };
        if !moved {
            return;
        }
        match within(CALL, acker.ack(BasicAckOptions::default())).await {
            Ok(_) => {}
            Err(CallError::Silent(_)) => held.session.give_up("an acknowledgement could not be written"),
            Err(error) => tracing::debug!(queue, %error, "an acknowledgement was lost; the message comes again"),
        }
    }

    /// Puts a copy where it belongs and waits for the confirmation: only then is the original done
    /// with. A crash between the two makes a double, which the inbox drops.
    async fn move_to(&self, held: &Held, destination: &Destination<'_>, copy: &Wire) -> bool {
        let mut wait = FIRST_WAIT;
        while let Err(error) = self.publisher.publish(destination, copy).await {
            if self.stopping.is_cancelled() || !held.channel.status().connected() {
                return false;
            }
            tracing::warn!(queue = self.processor.queue.name, %error, "a message can't be moved yet");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_WAIT);
        }
        true
    }
}

/// Ends the consumer and takes what was handed out already; giving that back would count a
/// delivery against each message.
async fn take_the_rest(held: &Held, mut consumer: Consumer) -> Vec<Delivery> {
    let mut rest = Vec::new();
    let cancel = held.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    if within(CALL, cancel).await.is_ok() {
        // Cancelled, the stream ends behind what was delivered before.
        while let Ok(Some(Ok(delivery))) = timeout(CALL, consumer.next()).await {
            rest.push(delivery);
        }
    }
    rest
}
