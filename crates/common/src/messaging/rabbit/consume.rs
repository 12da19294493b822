//! The consuming side of one queue.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::{Fuse, FuturesUnordered};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use super::amqp;
use super::deadline::{CALL, CallError, within};
use super::gather::{Gathered, gather};
use super::held::{Hand, Held, Receipt, Settler};
use super::link::Link;
use super::names::Names;
use super::pace::Pace;
use super::session::Session;
use super::topology::is_not_found;
use super::watch::Watch;
use crate::messaging::consumer::{Intake, Processor, Settlement};
use crate::messaging::wire::Wire;

/// Wait before a consumer that ended is set up again.
const AGAIN: Duration = Duration::from_millis(200);

/// Consumes one queue: on a channel, and on a new one whenever that or its connection is lost.
pub(super) struct Worker<I> {
    pub(super) names: Arc<Names>,
    /// The connection over which messages come and are acknowledged.
    pub(super) link: Link,
    pub(super) settler: Settler,
    pub(super) processor: Processor<I>,
}

/// The messages that are worked on: each future ends when its message is settled.
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
        // Outlives a connection: what has begun is finished, though its message may come again.
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

    /// Works on one channel until it is of no use or the service stops. A closed gate or a change of pace does not close the
    /// channel: closing it would count a delivery against each message in hand.
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

    /// Takes messages until the gate closes, or the slow start is over and more may be in hand. At the end, messages that
    /// the broker has handed out already are taken too: giving one back would count a delivery against it.
    async fn take<'a>(&'a self, held: &Held, in_hand: &mut InHand<'a>) -> Channels {
        let queue = self.processor.queue.name;
        let Some(consumer) = beside(in_hand, self.subscribed(held)).await else {
            return Channels::Over;
        };
        let mut consumer = consumer.fuse();
        let most = self.processor.batch().min(held.pace.prefetch().into());
        let is_slow = held.pace.is_slow();
        tracing::info!(queue, prefetch = held.pace.prefetch(), "consuming");
        let name = self.names.work(queue);
        let watch = Watch {
            queue,
            name: &name,
            metrics: &self.processor.metrics,
        };
        let mut missing = pin!(watch.misses(held));
        let end = loop {
            tokio::select! {
                () = self.processor.stopping.cancelled() => break Channels::Over,
                () = self.processor.gate.closes() => break Channels::Good,
                () = held.pace.rises(), if is_slow => break Channels::Good,
                () = held.session.broken() => return Channels::Over,
                why = &mut missing => {
                    tracing::warn!(queue, why, "the consumer is made anew");
                    return Channels::Over;
                }
                Some(()) = in_hand.next() => {}
                delivery = consumer.next() => match delivery {
                    Some(Ok(delivery)) => {
                        let Gathered { together, alone } = beside(in_hand, gather(delivery, most, &mut consumer)).await;
                        in_hand.push(Box::pin(self.several(held.clone(), together)));
                        in_hand.extend(alone.map(|one| Box::pin(self.several(held.clone(), vec![one])) as _));
                    }
                    // The stream ends only when the broker took the consumer away; the work goes on with a new one.
                    Some(Err(_)) | None => return Channels::Over,
                },
            }
        };
        // Beside the messages in hand: a broker that does not answer must not hold them up.
        let Some(rest) = beside(in_hand, take_the_rest(held, consumer)).await else {
            held.session.give_up("a consumer could not be cancelled");
            return Channels::Over;
        };
        for delivery in rest {
            in_hand.push(Box::pin(self.several(held.clone(), vec![delivery])));
        }
        if is_slow && !held.pace.is_slow() {
            // The broker counts for each consumer by itself: with one in hand from this one, the next would make one too many.
            tokio::select! {
                () = async { while in_hand.next().await.is_some() {} } => {}
                () = held.session.broken() => return Channels::Over,
            }
        }
        end
    }

    /// Begins a consumer on the channel, with as many messages in hand as the pace allows. `None`: the channel is of no use.
    async fn subscribed(&self, held: &Held) -> Option<Consumer> {
        let queue = self.processor.queue.name;
        let error = match within(CALL, self.subscribe(held)).await {
            Ok(consumer) => return Some(consumer),
            Err(error) => error,
        };
        match &error {
            CallError::Lapin(error) if is_not_found(error) => held.session.misses(queue),
            _ => {
                held.session.leaders().suspect_after(&error);
                held.session.give_up(&format!("can't consume {queue}: {error}"));
            }
        }
        None
    }

    async fn subscribe(&self, held: &Held) -> Result<Consumer, lapin::Error> {
        let queue = self.names.work(self.processor.queue.name);
        let qos = BasicQosOptions::default();
        held.channel.basic_qos(held.pace.prefetch(), qos).await?;
        let options = BasicConsumeOptions::default();
        held.channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await
    }

    /// Waits while the gate is closed, and tries one message at a time until one gets through and opens it.
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
                Ok(Some(probe)) => self.several(held.clone(), vec![probe.delivery]).await,
                Ok(None) => gate.has_no_probe(),
                Err(CallError::Lapin(error)) if is_not_found(&error) => {
                    held.session.misses(self.processor.queue.name);
                    return Channels::Over;
                }
                Err(error) => {
                    held.session.leaders().suspect_after(&error);
                    held.session.give_up(&format!("no message to probe with: {error}"));
                    return Channels::Over;
                }
            }
        }
        Channels::Good
    }

    /// Opens a channel on a connection that works; tries until it succeeds.
    async fn channel(&self, mut wait: Duration) -> Held {
        let queue = self.processor.queue.name;
        loop {
            tokio::time::sleep(wait).await;
            wait = AGAIN;
            let session = self.link.connected().await;
            // Whoever consumes a queue without a leader loses the connection, which other queues' consumers use too.
            session.leaders().allow(&self.names.work(queue)).await;
            match within(CALL, session.connection.create_channel()).await {
                Ok(channel) => return self.held(session, channel),
                Err(error) => session.give_up(&format!("can't open a channel: {error}")),
            }
        }
    }

    fn held(&self, session: Arc<Session>, channel: Channel) -> Held {
        let Processor {
            queue,
            options,
            metrics,
            ..
        } = &self.processor;
        Held {
            session,
            channel,
            pace: Arc::new(Pace::new(queue.name, options.prefetch, metrics.clone())),
            hand: Arc::new(Hand::default()),
        }
    }

    /// Takes in messages that came together: in one change, or, where that fails, each by itself.
    async fn several(&self, held: Held, deliveries: Vec<Delivery>) {
        let came: Vec<(Receipt, Wire)> = deliveries
            .into_iter()
            .map(|delivery| (held.takes(&delivery), amqp::read(delivery)))
            .collect();
        let wires = || came.iter().map(|(_, wire)| wire);
        if came.len() > 1 && self.processor.process_together(wires()).await {
            // One by one: AMQP's acknowledgement of many would include messages that are still worked on.
            for (receipt, _) in came {
                self.settler.settle(&held, receipt, Settlement::Ack).await;
            }
            return;
        }
        join_all(came.into_iter().map(|(receipt, wire)| self.one(&held, receipt, wire))).await;
    }

    async fn one(&self, held: &Held, receipt: Receipt, wire: Wire) {
        let settlement = self.processor.process(wire).await;
        self.settler.settle(held, receipt, settlement).await;
    }
}

/// Awaits `work` while the work on messages in hand goes on.
async fn beside<T>(in_hand: &mut InHand<'_>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            Some(()) = in_hand.next() => {}
            done = &mut work => return done,
        }
    }
}

/// Ends the consumer, keeps its channel, and takes the messages that were handed out already. `None`: the broker does not
/// answer.
async fn take_the_rest(held: &Held, mut consumer: Fuse<Consumer>) -> Option<Vec<Delivery>> {
    let cancel = held
        .channel
        .basic_cancel(consumer.get_ref().tag(), BasicCancelOptions::default());
    within(CALL, cancel).await.ok()?;
    let mut rest = Vec::new();
    // After the cancellation the stream gives what was delivered before, and then ends.
    while let Ok(Some(Ok(delivery))) = timeout(CALL, consumer.next()).await {
        rest.push(delivery);
    }
    Some(rest)
}
