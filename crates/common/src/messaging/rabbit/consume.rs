use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::deadline::{CALL, CallError, within};
use super::link::Session;
use super::names::Destination;
use super::{Rabbit, amqp};
use crate::messaging::consumer::{Handler, Processor, Settlement};
use crate::messaging::wire::Wire;

/// Wait before a consumer that ended is set up again.
const AGAIN: Duration = Duration::from_millis(200);
/// Waits between attempts to move a message: from the first, doubling, to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Consumes the processor's queue until the service stops, over as many connections as it takes.
pub(in crate::messaging) async fn consume<H: Handler>(
    rabbit: Rabbit,
    processor: Processor<H>,
    stopping: CancellationToken,
) {
    let worker = Worker {
        rabbit,
        processor,
        stopping,
    };
    while !worker.stopping.is_cancelled() {
        worker.once().await;
        tokio::select! {
            () = worker.stopping.cancelled() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

struct Worker<H> {
    rabbit: Rabbit,
    processor: Processor<H>,
    stopping: CancellationToken,
}

/// What a consumer works on: its deliveries can be acknowledged there and nowhere else.
struct Held<'a> {
    session: &'a Session,
    channel: &'a Channel,
}

impl<H: Handler> Worker<H> {
    /// Consumes over one channel, until it ends or the service stops.
    async fn once(&self) {
        let session = tokio::select! {
            () = self.stopping.cancelled() => return,
            session = self.rabbit.consuming.connected() => session,
        };
        match within(CALL, self.subscribe(&session)).await {
            Ok((channel, consumer)) => {
                let held = Held {
                    session: &session,
                    channel: &channel,
                };
                self.work(&held, consumer).await;
            }
            // A queue that is gone, or a connection that does not answer: both ask for a new one.
            Err(error) => session.give_up(&format!("can't consume {}: {error}", self.processor.queue.name)),
        }
    }

    async fn subscribe(&self, session: &Session) -> Result<(Channel, Consumer), lapin::Error> {
        let channel = session.connection.create_channel().await?;
        channel
            .basic_qos(self.processor.options.prefetch, BasicQosOptions::default())
            .await?;
        let queue = self.rabbit.names.work(self.processor.queue.name);
        let options = BasicConsumeOptions::default();
        let consumer = channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await?;
        tracing::info!(queue = self.processor.queue.name, "consuming");
        Ok((channel, consumer))
    }

    async fn work(&self, held: &Held<'_>, mut consumer: Consumer) {
        let mut in_hand = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => break,
                // What was in hand is dropped: it can't be acknowledged any more and comes again.
                () = held.session.broken() => return,
                Some(()) = in_hand.next() => {}
                delivery = consumer.next() => match delivery {
                    Some(Ok(delivery)) => in_hand.push(self.one(held, delivery)),
                    // The end of the stream is never the end of the work: the broker took the consumer away.
                    Some(Err(_)) | None => return,
                },
            }
        }
        // Finish what was handed out; giving it back would count a delivery against each message.
        let tag = consumer.tag();
        if within(CALL, held.channel.basic_cancel(tag, BasicCancelOptions::default()))
            .await
            .is_ok()
        {
            // Cancelled, the stream ends behind what was delivered before.
            while let Ok(Some(Ok(delivery))) = timeout(CALL, consumer.next()).await {
                in_hand.push(self.one(held, delivery));
            }
        }
        while in_hand.next().await.is_some() {}
        let _ = within(CALL, held.channel.close(200, "done".into())).await;
    }

    async fn one(&self, held: &Held<'_>, delivery: Delivery) {
        let acker = delivery.acker.clone();
        let settlement = self.processor.process(amqp::read(delivery)).await;
        self.settle(held, acker, settlement).await;
    }

    /// Settles one delivery, once: both are moved in and gone after.
    async fn settle(&self, held: &Held<'_>, acker: Acker, settlement: Settlement) {
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
    async fn move_to(&self, held: &Held<'_>, destination: &Destination<'_>, copy: &Wire) -> bool {
        let mut wait = FIRST_WAIT;
        while let Err(error) = self.rabbit.publisher.publish(destination, copy).await {
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
