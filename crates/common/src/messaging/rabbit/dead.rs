//! The dead letters of one queue, for a command that goes through all of them: looked at without being taken.
//!
//! A letter that was handed out and not acknowledged stays the broker's: it goes back to its queue when the channel ends,
//! for whatever reason. Until then nobody else can see it. So commands go one after the other: each declares an exclusive
//! queue, the turn, which only one connection can have and which goes with that connection.

use std::sync::Arc;
use std::time::Duration;

use contracts::envelope::header;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, Channel, ErrorKind};
use tokio::time::{Instant, sleep, timeout};

use super::amqp;
use super::deadline::{CALL, CONFIRM, CallError, within};
use super::names::Names;
use super::session::Session;
use super::topology::count;
use crate::Timestamp;
use crate::messaging::error::DeadLettersError;
use crate::messaging::wire::Wire;

/// Longest wait for a turn.
const TURN: Duration = Duration::from_secs(30);
/// Pause between two looks at something that is not there yet.
const AGAIN: Duration = Duration::from_millis(100);
/// How many looks at most the count of letters may take to stand still: those that a lost connection held come back.
const LOOKS: u32 = 20;
/// Letters that are asked for at a time: from the first, doubling, to the most; fewer when they are large.
const FIRST_WINDOW: u32 = 16;
const MOST_WINDOW: u32 = 512;
/// When the letters of one window have more bytes than this, the next window is half as large.
const LARGE_WINDOW: usize = 2 * 1024 * 1024;
/// Longest time for one look. The broker closes a channel on which a letter is unacknowledged for half an hour
/// (`consumer_timeout`).
const LONGEST_HOLD: Duration = Duration::from_mins(10);

/// A letter that was handed out; it goes back unless it is taken.
pub(in crate::messaging) struct Held(Acker);

/// The dead letters of one queue.
pub(in crate::messaging) struct DeadQueue {
    name: String,
    turn: String,
    /// Letters are handed out on this channel.
    channel: Channel,
    /// For all else: counting, and the turn.
    aside: Channel,
    opened: Instant,
    total: u32,
    read: u32,
    taken: u32,
    window: u32,
    session: Arc<Session>,
}

impl From<CallError> for DeadLettersError {
    fn from(error: CallError) -> Self {
        Self::Broker(error.to_string())
    }
}

impl DeadQueue {
    /// Waits for its turn, and counts the letters that are there.
    pub(super) async fn open(names: &Names, session: Arc<Session>, queue: &str) -> Result<Self, DeadLettersError> {
        let (name, turn) = (names.dead(queue), names.dead_turn(queue));
        let aside = take_turn(&session, &turn).await?;
        let total = settled_count(&aside, &name).await?;
        let channel = within(CALL, session.connection.create_channel()).await?;
        Ok(Self {
            name,
            turn,
            channel,
            aside,
            opened: Instant::now(),
            total,
            read: 0,
            taken: 0,
            window: FIRST_WINDOW,
            session,
        })
    }

    /// How many letters there were, with those that came until the last [`Self::go_on`].
    pub(in crate::messaging) fn total(&self) -> u32 {
        self.total
    }

    /// Whether letters were held for so long that they must go back, even if not all were seen.
    pub(in crate::messaging) fn is_held_long(&self) -> bool {
        self.opened.elapsed() > LONGEST_HOLD
    }

    /// The next letters; empty when all were read.
    pub(in crate::messaging) async fn next(&mut self) -> Result<Vec<(Wire, Held)>, DeadLettersError> {
        let want = self.window.min(self.total - self.read);
        if want == 0 {
            return Ok(Vec::new());
        }
        let deliveries = tokio::select! {
            deliveries = self.hand_out(want) => deliveries?,
            () = self.session.broken() => return Err(DeadLettersError::Broker("its connection ended".to_owned())),
        };
        if deliveries.is_empty() {
            let (read, total) = (self.read, self.total);
            return Err(DeadLettersError::Short { read, total });
        }
        self.read += u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
        let bytes: usize = deliveries.iter().map(|delivery| delivery.data.len()).sum();
        self.window = match self.window {
            window if bytes > LARGE_WINDOW => (window / 2).max(1),
            window => (window * 2).min(MOST_WINDOW),
        };
        Ok(deliveries.into_iter().map(letter).collect())
    }

    /// Lets [`Self::next`] go on with the letters that have come since.
    pub(in crate::messaging) async fn go_on(&mut self) -> Result<(), DeadLettersError> {
        let ready = within(CALL, count(&self.aside, &self.name)).await?;
        self.total = self.read + ready.unwrap_or(0);
        Ok(())
    }

    /// Takes a letter for good.
    pub(in crate::messaging) async fn take(&mut self, letter: &Held) -> Result<(), DeadLettersError> {
        let acknowledged = within(CALL, letter.0.ack(BasicAckOptions::default())).await?;
        if !acknowledged {
            return Err(DeadLettersError::Broker("the channel of a letter ended".to_owned()));
        }
        self.taken += 1;
        Ok(())
    }

    /// Gives back the letters that were not taken, waits until they are in the queue, and ends the turn.
    pub(in crate::messaging) async fn close(self) {
        let held = self.read - self.taken;
        let back = async {
            self.channel.close(200, "looked".into()).await?;
            while count(&self.aside, &self.name).await?.is_some_and(|ready| ready < held) {
                sleep(AGAIN).await;
            }
            Ok(())
        };
        // An error is no harm: the letters come back even when nobody waits for them.
        let _ = within(CONFIRM, back).await;
        let ending = async {
            let options = QueueDeleteOptions::default();
            self.aside.queue_delete(self.turn.as_str().into(), options).await?;
            self.aside.close(200, "looked".into()).await
        };
        let _ = within(CALL, ending).await;
    }

    /// Has up to `want` letters handed out, to a consumer that is begun for them: the prefetch counts for each consumer
    /// alone, so letters that are held already do not use it up. The channel holds all of them.
    async fn hand_out(&self, want: u32) -> Result<Vec<Delivery>, CallError> {
        let qos = BasicQosOptions::default();
        let prefetch = u16::try_from(want).unwrap_or(u16::MAX);
        within(CALL, self.channel.basic_qos(prefetch, qos)).await?;
        let options = BasicConsumeOptions::default();
        let subscribe =
            self.channel
                .basic_consume(self.name.as_str().into(), "".into(), options, FieldTable::default());
        let mut consumer = within(CALL, subscribe).await?;
        let mut deliveries = Vec::new();
        while deliveries.len() < usize::from(prefetch) {
            match timeout(CALL, consumer.next()).await {
                Ok(Some(delivery)) => deliveries.push(delivery?),
                // The broker has handed out all that it has.
                Ok(None) | Err(_) => break,
            }
        }
        let cancel = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        within(CALL, cancel).await?;
        while let Ok(Some(Ok(delivery))) = timeout(CALL, consumer.next()).await {
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }
}

/// Waits for the turn and takes it; it ends with the channel's connection or with [`DeadQueue::close`].
async fn take_turn(session: &Session, turn: &str) -> Result<Channel, DeadLettersError> {
    let end = Instant::now() + TURN;
    loop {
        let channel = within(CALL, session.connection.create_channel()).await?;
        let own = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        match within(CALL, channel.queue_declare(turn.into(), own, FieldTable::default())).await {
            Ok(_) => return Ok(channel),
            Err(CallError::Lapin(error)) if is_locked(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= end {
            return Err(DeadLettersError::Held);
        }
        sleep(AGAIN).await;
    }
}

/// How many letters there are, once the count stands still: letters that a lost connection held come back first.
async fn settled_count(channel: &Channel, name: &str) -> Result<u32, DeadLettersError> {
    let mut before = None;
    let mut ready = 0;
    for _ in 0..LOOKS {
        let counted = within(CALL, count(channel, name)).await?;
        ready = counted.ok_or_else(|| DeadLettersError::Broker(format!("there is no queue {name}")))?;
        if before == Some(ready) {
            break;
        }
        before = Some(ready);
        sleep(AGAIN).await;
    }
    Ok(ready)
}

fn is_locked(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED))
}

/// A letter that was handed out. Where we did not write when it was set aside, the time is the broker's (`x-death`).
fn letter(delivery: Delivery) -> (Wire, Held) {
    let held = Held(delivery.acker.clone());
    let brokers_time = died_at(&delivery);
    let mut wire = amqp::read(delivery);
    if let (None, Some(at)) = (wire.header(header::FAILED_AT), brokers_time) {
        wire.set(header::FAILED_AT, at.to_rfc3339());
    }
    (wire, held)
}

fn died_at(delivery: &Delivery) -> Option<Timestamp> {
    let headers = delivery.properties.headers().as_ref()?;
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        return None;
    };
    let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else {
        return None;
    };
    match last.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => {
            let micros = i64::try_from(*seconds).ok()?.checked_mul(1_000_000)?;
            Some(Timestamp::from_micros(micros))
        }
        _ => None,
    }
}
