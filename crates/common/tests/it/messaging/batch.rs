//! Several messages in one change: each has its effect once, whoever else is in it and whatever becomes of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::Timestamp;
use common::dispatch::{NewDelivery, delivery, enqueue_last};
use common::messaging::{Change, Changes, Consumer, Intake, Message, OutboundMessage, Rejection, Step};
use contracts::envelope::header;
use contracts::topology::EMAIL_WORKER_EVENTS;
use futures_util::future::join_all;
use sea_orm::EntityTrait;
use test_support::{Fault, eventually};
use tokio::sync::Notify;
use uuid::Uuid;

use super::effects::{Effects, LONG, each_has_one_effect, effects, make_table};
use super::fixture::{Fixture, Store, outbound, someone, with_headers};
use super::rabbit::broker_proxy;

/// So many are settled one at a time before more come at once.
const FIRST: usize = 3;

/// Leaves a row for each message, several in one change; some of them it can't take.
#[derive(Default)]
struct Sharing {
    panics: HashSet<Uuid>,
    refuses: HashSet<Uuid>,
}

impl Intake for Sharing {
    const SHARES_A_CHANGE: bool = true;

    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        Effects.take(message, change).await?;
        assert!(!self.panics.contains(&message.id), "on purpose");
        if self.refuses.contains(&message.id) {
            return Err(Rejection::dead_letter("refused on purpose"));
        }
        Ok(())
    }
}

fn consume(fixture: &Fixture, changes: Changes, intake: impl Intake) {
    let consumer = Consumer {
        queue: EMAIL_WORKER_EVENTS,
        intake,
        changes,
        options: fixture.options(),
    };
    fixture.broker.consume(consumer, &fixture.metrics, &fixture.tasks);
}

async fn publish(fixture: &Fixture, messages: &[OutboundMessage]) {
    let published = messages.iter().map(|message| fixture.broker.publish(message.clone()));
    for confirmed in join_all(published).await {
        confirmed.unwrap();
    }
}

fn several(count: usize) -> Vec<OutboundMessage> {
    (0..count).map(|_| outbound(&someone())).collect()
}

fn ids(messages: &[OutboundMessage]) -> Vec<Uuid> {
    messages.iter().map(OutboundMessage::id).collect()
}

fn counted(fixture: &Fixture, series: &str) -> usize {
    let rendered = fixture.metrics.render();
    let series = format!("{series}}} ");
    let value = rendered.lines().find_map(|line| line.split_once(&series));
    value.map_or(0, |(_, value)| value.parse().unwrap())
}

const TOGETHER: &str =
    "waypost_message_batches_total{service=\"email-worker\",queue=\"email-worker.events\",outcome=\"together\"";
const APART: &str =
    "waypost_message_batches_total{service=\"email-worker\",queue=\"email-worker.events\",outcome=\"apart\"";
const ACKED: &str = "waypost_messages_total{service=\"email-worker\",queue=\"email-worker.events\",outcome=\"ack\"";
const TIMED: &str = "waypost_critical_time_seconds_count{service=\"email-worker\",type=\"user.registered.v1\"";
const PANICS: &str = "waypost_intake_panics_total{service=\"email-worker\",queue=\"email-worker.events\"";

#[tokio::test]
async fn copies_within_one_change_have_one_effect() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let fixture = Fixture::rabbit().await;
        make_table(&store).await;
        let messages = several(100);
        publish(&fixture, &messages[..FIRST]).await;
        let twice: Vec<_> = messages[FIRST..]
            .iter()
            .flat_map(|message| [message.clone(), message.clone()])
            .collect();
        publish(&fixture, &twice).await;

        consume(&fixture, store.changes(), Sharing::default());

        let all = FIRST + twice.len();
        eventually(LONG, async || counted(&fixture, ACKED) == all).await;
        each_has_one_effect(&store, &ids(&messages)).await;
        let together = counted(&fixture, TOGETHER);
        println!(
            "{all} messages, two of each: {} effects, {together} changes of several",
            messages.len()
        );
        assert!(together > 0, "they came one by one");
        assert_eq!(counted(&fixture, TIMED), messages.len(), "each new one is timed, once");
        fixture.end().await;
    }
}

#[tokio::test]
async fn messages_that_cannot_be_taken_spoil_their_change_and_no_other_message() {
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    make_table(&store).await;
    let messages = several(60);
    let (panics, refused, unreadable) = (messages[20].id(), messages[30].id(), messages[40].id());
    let sent: Vec<_> = messages
        .iter()
        .map(|message| {
            if message.id() == unreadable {
                with_headers(message, &[(header::SPEC_VERSION, "9")])
            } else {
                message.clone()
            }
        })
        .collect();
    publish(&fixture, &sent).await;

    let intake = Sharing {
        panics: HashSet::from([panics]),
        refuses: HashSet::from([refused]),
    };
    consume(&fixture, store.changes(), intake);

    let poison = [panics, refused, unreadable];
    let innocent: Vec<_> = ids(&messages).into_iter().filter(|id| !poison.contains(id)).collect();
    each_has_one_effect(&store, &innocent).await;
    let letters = fixture.dead_letters(EMAIL_WORKER_EVENTS, poison.len()).await;
    let reason = |id: Uuid| {
        let letter = letters.iter().find(|letter| letter.id == Some(id.to_string()));
        letter.map(|letter| letter.reason.clone()).unwrap_or_default()
    };
    assert_eq!(reason(panics), "3 attempts are used up");
    assert_eq!(reason(refused), "refused on purpose");
    assert!(reason(unreadable).contains("is not 1.0"), "{}", reason(unreadable));
    assert_eq!(
        (letters.len(), effects(&store).await.len()),
        (poison.len(), innocent.len())
    );
    assert!(counted(&fixture, APART) > 0, "no poison came together with others");
    assert!(counted(&fixture, PANICS) >= 3);
    fixture.end().await;
}

/// Asks for a delivery for each message; PostgreSQL takes none for the one recipient whose address it can't hold.
struct Asking {
    refused: Uuid,
}

impl Intake for Asking {
    const SHARES_A_CHANGE: bool = true;

    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        let recipient = if message.id == self.refused { "\0" } else { "somebody" };
        let delivery = NewDelivery::new(message.id, "test", recipient.to_owned(), "a".to_owned());
        enqueue_last(change, &delivery, Timestamp::now());
        Ok(())
    }
}

#[tokio::test]
async fn a_delivery_that_is_refused_with_the_commit_spoils_no_other_message() {
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    let messages = several(60);
    let refused = messages[30].id();
    publish(&fixture, &messages).await;

    consume(&fixture, store.changes(), Asking { refused });

    let letters = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await;
    assert_eq!(letters[0].id, Some(refused.to_string()), "{}", letters[0].reason);
    let asked = async || delivery::Entity::find().all(store.database.read()).await.unwrap();
    eventually(LONG, async || asked().await.len() == messages.len() - 1).await;
    let sources: HashSet<_> = asked().await.iter().map(|row| row.source_event_id).collect();
    let others = ids(&messages).into_iter().filter(|id| *id != refused);
    assert_eq!(sources, others.collect());
    assert!(counted(&fixture, TOGETHER) > 0, "they came one by one");
    assert!(counted(&fixture, APART) > 0, "the refused one came alone");
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_several_that_is_committed_and_not_acknowledged_has_its_effects_once() {
    let (proxy, through) = broker_proxy().await;
    let fixture = Fixture::shared_through(&through).await;
    fixture.is_up().await;
    let store = Store::postgres().await;
    make_table(&store).await;
    let (armed, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (is_armed, tells) = (armed.clone(), committed.clone());
    let changes = store.changes().observed(move |step| {
        if step == Step::Committed && is_armed.swap(false, Ordering::SeqCst) {
            tells.notify_one();
            // The connection is cut meanwhile.
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    consume(&fixture, changes, Sharing::default());
    let first = several(FIRST);
    publish(&fixture, &first).await;
    eventually(LONG, async || counted(&fixture, ACKED) == FIRST).await;

    armed.store(true, Ordering::SeqCst);
    let more = several(50);
    publish(&fixture, &more).await;
    committed.notified().await;
    proxy.set(Fault::Refuse).await;
    proxy.set(Fault::Pass).await;

    each_has_one_effect(&store, &ids(&more)).await;
    // Those that were committed come again, and are known.
    eventually(LONG, async || counted(&fixture, ACKED) > FIRST + more.len()).await;
    println!(
        "{} messages, {} acknowledgements decided",
        FIRST + more.len(),
        counted(&fixture, ACKED)
    );
    each_has_one_effect(&store, &ids(&first)).await;
    assert!(counted(&fixture, TOGETHER) > 0);
    fixture.end().await;
}
