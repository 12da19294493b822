//! The consuming side of one queue.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::time::timeout;

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
}

/// Where a delivery can be acknowledged; on no other channel.
#[derive(Clone)]
struct Held {
    session: Arc<Session>,
    channel: Channel,
}

/// Messages that are worked on, each to its settlement.
type InHand<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>;

/// Whether a channel can be worked on.
#[derive(PartialEq, Eq)]
enum Channels {
    /// It can.
    Good,
    /// It can't, or the service stops.
    Over,
}

impl<I: Intake> Worker<I> {
    /// Consumes until the service stops, then finishes what is in hand.
    pub(super) async fn run(self) {
        // Outlives a connection: an intake that has committed also finishes what it does after.
        let mut in_hand = InHand::new();
        let mut wait = Duration::ZERO;
        loop {
            let channel = self.processor.stopping.run_until_cancelled(self.channel(wait));
            let Some(held) = beside(&mut in_hand, channel).await else {
                break;
            };
            wait = AGAIN;
            self.work(&held, &mut in_hand).await;
        }
        while in_hand.next().await.is_some() {}
    }

    /// Works on one channel until it is of no use or the service stops. Nothing that slows the consumer down
    /// closes it: that would count a delivery against each message in hand.
    async fn work<'a>(&'a self, held: &Held, in_hand: &mut InHand<'a>) {
        loop {
            if !self.processor.gate.is_open() && self.probe(held, in_hand).await == Channels::Over {
                return;
            }
            if self.take(held, in_hand).await == Channels::Over {
                return;
            }
        }
    }

    /// Takes messages while the gate is open. What the broker handed out already is taken too: giving it back
    /// would count a delivery against it.
    async fn take<'a>(&'a self, held: &Held, in_hand: &mut InHand<'a>) -> Channels {
        let queue = self.processor.queue.name;
        let mut consumer = match beside(in_hand, within(CALL, self.subscribe(&held.channel))).await {
            Ok(consumer) => consumer,
            Err(CallError::Lapin(error)) if is_not_found(&error) => {
                held.session.misses(queue);
                return Channels::Over;
            }
            Err(error) => {
                held.session.give_up(&format!("can't consume {queue}: {error}"));
                return Channels::Over;
            }
        };
        tracing::info!(queue, "consuming");
        let end = loop {
            tokio::select! {
                () = self.processor.stopping.cancelled() => break Channels::Over,
                () = self.processor.gate.closes() => break Channels::Good,
                () = held.session.broken() => return Channels::Over,
                Some(()) = in_hand.next() => {}
                delivery = consumer.next() => match delivery {
                    Some(Ok(delivery)) => in_hand.push(Box::pin(self.one(held.clone(), delivery))),
                    // The end of the stream is never the end of the work: the broker took the consumer away.
                    Some(Err(_)) | None => return Channels::Over,
                },
            }
        };
        // A broker that does not answer holds up no intake.
        let Some(rest) = beside(in_hand, take_the_rest(held, consumer)).await else {
            held.session.give_up("a consumer could not be cancelled");
            return Channels::Over;
        };
        for delivery in rest {
            in_hand.push(Box::pin(self.one(held.clone(), delivery)));
        }
        end
    }

    /// Waits behind the closed gate, and tries one message at a time until one gets through.
    async fn probe(&self, held: &Held, in_hand: &mut InHand<'_>) -> Channels {
        let Processor { gate, stopping, .. } = &self.processor;
        while in_hand.next().await.is_some() {}
        gate.drained();
        while !gate.is_open() {
            tokio::select! {
                () = stopping.cancelled() => return Channels::Over,
                () = held.session.broken() => return Channels::Over,
                () = self.processor.probe_is_due() => {}
            }
            let queue = self.names.work(self.processor.queue.name);
            let get = held.channel.basic_get(queue.into(), BasicGetOptions::default());
            match within(CALL, get).await {
                Ok(Some(probe)) => self.one(held.clone(), probe.delivery).await,
                Ok(None) => gate.has_no_probe(),
                Err(CallError::Lapin(error)) if is_not_found(&error) => {
                    held.session.misses(self.processor.queue.name);
                    return Channels::Over;
                }
                Err(error) => {
                    held.session.give_up(&format!("no message to probe with: {error}"));
                    return Channels::Over;
                }
            }
        }
        Channels::Good
    }

    /// A channel on the connection that works, as often as it takes.
    async fn channel(&self, mut wait: Duration) -> Held {
        loop {
            tokio::time::sleep(wait).await;
            wait = AGAIN;
            let session = self.link.connected().await;
            let open = async {
                let channel = session.connection.create_channel().await?;
                let prefetch = self.processor.options.prefetch;
                channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
                Ok(channel)
            };
            match within(CALL, open).await {
                Ok(channel) => return Held { session, channel },
                Err(error) => session.give_up(&format!("can't open a channel: {error}")),
            }
        }
    }

    async fn subscribe(&self, channel: &Channel) -> Result<Consumer, lapin::Error> {
        let queue = self.names.work(self.processor.queue.name);
        let options = BasicConsumeOptions::default();
        channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await
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
            Settlement::Delay { after, copy } | Settlement::HandBack { after, copy } => {
                self.move_to(held, &Destination::Delay(queue, after), &copy).await
            }
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
            if self.processor.stopping.is_cancelled() || !held.channel.status().connected() {
                return false;
            }
            tracing::warn!(queue = self.processor.queue.name, %error, "a message can't be moved yet");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_WAIT);
        }
        true
    }
}

/// Awaits `work` while what is in hand goes on.
async fn beside<T>(in_hand: &mut InHand<'_>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            Some(()) = in_hand.next() => {}
            done = &mut work => return done,
        }
    }
}

/// Ends the consumer, keeps its channel, and takes what was handed out already. `None`: the broker does not answer.
async fn take_the_rest(held: &Held, mut consumer: Consumer) -> Option<Vec<Delivery>> {
    let cancel = held.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    within(CALL, cancel).await.ok()?;
    let mut rest = Vec::new();
    // Cancelled, the stream ends behind what was delivered before.
    while let Ok(Some(Ok(delivery))) = timeout(CALL, consumer.next()).await {
        rest.push(delivery);
    }
    Some(rest)
}
