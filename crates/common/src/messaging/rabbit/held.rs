//! What settles a delivery: its channel, and the publisher that moves copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::{Acker, Channel};
use tokio_util::sync::CancellationToken;

use super::deadline::{CALL, CallError, within};
use super::names::Destination;
use super::pace::Pace;
use super::publish::Publisher;
use super::session::Session;
use crate::messaging::consumer::Settlement;
use crate::messaging::wire::Wire;
use crate::resilience::Backoff;

/// Waits between attempts to move a message.
const WAITS: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(5));

/// The channel of a delivery: on no other can it be acknowledged.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) session: Arc<Session>,
    pub(super) channel: Channel,
    pub(super) pace: Arc<Pace>,
    pub(super) hand: Arc<Hand>,
}

/// Counts the deliveries that came over a channel, and those of them that are settled.
#[derive(Default)]
pub(super) struct Hand {
    taken: AtomicU64,
    settled: AtomicU64,
}

impl Hand {
    /// How many deliveries came.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether none of them is worked on.
    pub(super) fn is_empty(&self) -> bool {
        self.settled.load(Ordering::Relaxed) == self.taken()
    }
}

/// One delivery, to be settled once.
pub(super) struct Receipt {
    acker: Acker,
    is_first_delivery: bool,
}

impl Held {
    /// Notes that a delivery was taken, and keeps what settles it.
    pub(super) fn takes(&self, delivery: &Delivery) -> Receipt {
        self.hand.taken.fetch_add(1, Ordering::Relaxed);
        Receipt {
            acker: delivery.acker.clone(),
            is_first_delivery: !delivery.redelivered,
        }
    }

    fn is_done_with(&self, is_first_delivery: bool) {
        self.hand.settled.fetch_add(1, Ordering::Relaxed);
        self.pace.settled(is_first_delivery);
    }
}

/// Settles the deliveries of one queue.
pub(super) struct Settler {
    pub(super) queue: &'static str,
    /// Moves messages to delay queues and dead letters.
    pub(super) publisher: Publisher,
    pub(super) stopping: CancellationToken,
}

impl Settler {
    /// Settles one delivery. It takes receipt and settlement by value, so that nobody can settle it twice.
    pub(super) async fn settle(&self, held: &Held, receipt: Receipt, settlement: Settlement) {
        let queue = self.queue;
        let moved = match settlement {
            Settlement::Ack => true,
            Settlement::Delay { after, copy } | Settlement::HandBack { after, copy } => {
                self.move_to(held, &Destination::Delay(queue, after), &copy).await
            }
            Settlement::Dead { copy } => self.move_to(held, &Destination::Dead(queue), &copy).await,
        };
        if moved {
            match within(CALL, receipt.acker.ack(BasicAckOptions::default())).await {
                Ok(_) => {}
                Err(CallError::Silent(_)) => held.session.give_up("an acknowledgement could not be written"),
                Err(error) => tracing::debug!(queue, %error, "an acknowledgement was lost; the message comes again"),
            }
        }
        held.is_done_with(receipt.is_first_delivery);
    }

    /// Puts a copy where it belongs and waits for the confirmation, tries included: only then may the original be
    /// acknowledged. A crash between the two leaves a double, which the inbox drops. `false`: the original comes again.
    async fn move_to(&self, held: &Held, destination: &Destination<'_>, copy: &Wire) -> bool {
        let mut retry = 0;
        while let Err(error) = self.publisher.publish(destination, copy).await {
            if self.stopping.is_cancelled() || !held.channel.status().connected() {
                return false;
            }
            tracing::warn!(queue = self.queue, %error, "a message can't be moved yet");
            tokio::time::sleep(WAITS.step(retry)).await;
            retry += 1;
        }
        true
    }
}
