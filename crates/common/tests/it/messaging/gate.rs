//! A consumer whose own database is in trouble: no message is lost, counted or done twice for it.

use std::sync::Arc;
use std::time::Duration;

use common::config::Service;
use common::messaging::{Change, Intake, Message, Rejection};
use common::process::{State, Tasks};
use contracts::topology::EMAIL_WORKER_EVENTS;
use sea_orm::ConnectionTrait;
use test_support::{Fault, FaultProxy, eventually, postgres_url};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::effects::{Effects, consume, each_has_one_effect, effects, make_table, write};
use super::fixture::{Fixture, SOON, Store, outbound, someone};

/// How long a trouble lasts: ten times the tests' ladder.
const TROUBLE: Duration = Duration::from_secs(2);
/// Every end comes by then, whatever hangs.
const END: Duration = Duration::from_secs(5);

/// What lost an answer itself is there by then: a change has 2.5 s.
const LOST: Duration = Duration::from_secs(5);

const HIDE: &str = "ALTER TABLE inbox RENAME TO hidden";
const SHOW: &str = "ALTER TABLE hidden RENAME TO inbox";

/// Brings a store into trouble, and out of it: one statement each, over a connection that nobody else has.
struct Trouble {
    begins: &'static str,
    ends: &'static str,
}

const NO_TABLE: Trouble = Trouble {
    begins: HIDE,
    ends: SHOW,
};
const LOCKED: Trouble = Trouble {
    begins: "BEGIN IMMEDIATE",
    ends: "ROLLBACK",
};

#[tokio::test]
async fn a_table_out_of_reach_costs_no_message_anything_with_rabbitmq() {
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    println!("{}", trouble_costs_no_message_anything(&fixture, store, NO_TABLE).await);
    fixture.end().await;
}

#[tokio::test]
async fn a_table_out_of_reach_costs_no_message_anything_in_memory() {
    let (fixture, store) = (Fixture::memory().await, Store::postgres().await);
    println!("{}", trouble_costs_no_message_anything(&fixture, store, NO_TABLE).await);
    fixture.end().await;
}

#[tokio::test]
async fn a_locked_sqlite_file_costs_no_message_anything_with_rabbitmq() {
    let (fixture, store) = (impatient(Fixture::rabbit().await), Store::sqlite().await);
    println!("{}", trouble_costs_no_message_anything(&fixture, store, LOCKED).await);
    fixture.end().await;
}

#[tokio::test]
async fn a_locked_sqlite_file_costs_no_message_anything_in_memory() {
    let (fixture, store) = (impatient(Fixture::memory().await), Store::sqlite().await);
    println!("{}", trouble_costs_no_message_anything(&fixture, store, LOCKED).await);
    fixture.end().await;
}

/// A handler's time is shorter than SQLite waits for its lock: it ends on the database.
fn impatient(mut fixture: Fixture) -> Fixture {
    fixture.settings.broker.handler_timeout = Duration::from_secs(1);
    fixture
}

async fn trouble_costs_no_message_anything(fixture: &Fixture, store: Store, trouble: Trouble) -> String {
    let told = Store::sqlite().await;
    let changes = fixture.relay(&told);
    let consuming = consume(fixture, &store).await;
    let mut ids = write(&changes, 5).await;
    each_has_one_effect(&store, &ids).await;
    let troubled = store.replica().await;

    troubled.unguarded().execute_unprepared(trouble.begins).await.unwrap();
    ids.extend(write(&changes, 50).await);
    eventually(SOON, async || consuming.state() == State::Degraded).await;
    eventually(SOON, async || gate(fixture) > 0 && handed_back(fixture) > 0).await;
    tokio::time::sleep(TROUBLE).await;
    assert_eq!(consuming.state(), State::Degraded);
    no_dead_letters(fixture).await;

    troubled.unguarded().execute_unprepared(trouble.ends).await.unwrap();
    let healed = Instant::now();
    each_has_one_effect(&store, &ids).await;
    let told_of = format!(
        "sent {}, received {}, {} handed back, all there {:?} after the cure",
        ids.len(),
        effects(&store).await.len(),
        handed_back(fixture),
        healed.elapsed()
    );
    no_dead_letters(fixture).await;
    told.outbox_is_empty().await;
    eventually(SOON, async || consuming.state() == State::Up && gate(fixture) == 0).await;
    told_of
}

#[tokio::test]
async fn in_memory_nothing_is_confirmed_while_the_database_is_in_trouble_nor_lost_with_the_process() {
    let (fixture, store, told) = (Fixture::memory().await, Store::sqlite().await, Store::sqlite().await);
    let changes = fixture.relay(&told);
    let consuming = consume(&fixture, &store).await;
    let troubled = store.replica().await;
    troubled.unguarded().execute_unprepared(HIDE).await.unwrap();
    let ids = write(&changes, 50).await;
    eventually(SOON, async || consuming.state() == State::Degraded).await;
    tokio::time::sleep(TROUBLE).await;
    assert_eq!(told.outbox_rows().await, 50);
    fixture.end().await;

    troubled.unguarded().execute_unprepared(SHOW).await.unwrap();
    let next = Fixture::memory().await;
    next.relay(&told);
    next.consume_others(EMAIL_WORKER_EVENTS);
    next.consume_into(&store, EMAIL_WORKER_EVENTS, Effects);
    each_has_one_effect(&store, &ids).await;
    told.outbox_is_empty().await;
    next.end().await;
}

#[tokio::test]
async fn more_restarts_than_the_delivery_limit_in_an_outage_cost_a_message_nothing() {
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    make_table(&store).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    store.database.unguarded().execute_unprepared(HIDE).await.unwrap();
    let messages: Vec<_> = (0..3).map(|_| outbound(&someone())).collect();
    for message in &messages {
        fixture.broker.publish(message.clone()).await.unwrap();
    }

    // The broker's limit is 20.
    for _ in 0..25 {
        let before = handed_back(&fixture);
        let worker = Tasks::new(Service::EmailWorker);
        fixture.consume_into_as(&worker, &store, EMAIL_WORKER_EVENTS, Effects);
        eventually(SOON, async || handed_back(&fixture) > before).await;
        worker.shut_down(END).await.unwrap();
    }
    no_dead_letters(&fixture).await;

    store.database.unguarded().execute_unprepared(SHOW).await.unwrap();
    fixture.consume_into(&store, EMAIL_WORKER_EVENTS, Effects);
    let ids: Vec<_> = messages.iter().map(common::messaging::OutboundMessage::id).collect();
    each_has_one_effect(&store, &ids).await;
    no_dead_letters(&fixture).await;
    fixture.end().await;
}

#[tokio::test]
async fn one_message_that_the_database_refuses_climbs_the_ladder_and_closes_no_gate() {
    /// Writes what is there already.
    struct Refused;
    impl Intake for Refused {
        async fn take(&self, _: &Message, change: &mut Change) -> Result<(), Rejection> {
            let twice = "INSERT INTO inbox SELECT * FROM inbox";
            change.tx().execute_unprepared(twice).await?;
            Ok(())
        }
    }
    for store in [Store::postgres().await, Store::sqlite().await] {
        let fixture = Fixture::memory().await;
        fixture.consume_others(EMAIL_WORKER_EVENTS);
        let consuming = fixture.consume_into(&store, EMAIL_WORKER_EVENTS, Refused);
        fixture.publish(outbound(&someone()));

        let letter = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.remove(0);

        assert_eq!((letter.reason.as_str(), letter.attempts), ("3 attempts are used up", 3));
        assert_eq!((consuming.state(), handed_back(&fixture)), (State::Up, 0));
        fixture.end().await;
    }
}

#[tokio::test]
async fn a_statement_that_hangs_holds_up_no_end_and_what_was_in_hand_is_handed_back() {
    /// Says when it begins, and asks the database when it may.
    struct Asking {
        begun: Arc<Notify>,
        may: Arc<Semaphore>,
    }
    impl Intake for Asking {
        async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
            self.begun.notify_one();
            self.may.acquire().await.unwrap().forget();
            Effects.take(message, change).await
        }
    }
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    make_table(&store).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let proxy = postgres_proxy().await;
    let far = Store::through(&store, &proxy).await;
    let (begun, may) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let asking = Asking {
        begun: begun.clone(),
        may: may.clone(),
    };
    let worker = Tasks::new(Service::EmailWorker);
    fixture.consume_into_as(&worker, &far, EMAIL_WORKER_EVENTS, asking);
    let message = outbound(&someone());
    fixture.broker.publish(message.clone()).await.unwrap();
    begun.notified().await;

    proxy.set(Fault::BlackHole).await;
    may.add_permits(1);
    let stopped = Instant::now();
    let ended = worker.shut_down(END).await;

    assert!(ended.is_ok(), "{ended:?} after {:?}", stopped.elapsed());
    assert_eq!(handed_back(&fixture), 1);
    fixture.consume_into(&store, EMAIL_WORKER_EVENTS, Effects);
    each_has_one_effect(&store, &[message.id()]).await;
    no_dead_letters(&fixture).await;
    fixture.end().await;
}

#[tokio::test]
async fn one_answer_that_is_lost_to_a_consumer_stops_it_for_less_than_five_seconds() {
    for statement in ["BEGIN", "INSERT INTO \"inbox\"", "INSERT INTO effects", "COMMIT"] {
        let (fixture, store) = (Fixture::memory().await, Store::postgres().await);
        let proxy = postgres_proxy().await;
        let far = Store::through(&store, &proxy).await;
        consume(&fixture, &far).await;

        proxy.lose_answer_to(statement);
        let (lost, next) = (outbound(&someone()), outbound(&someone()));
        let asked = Instant::now();
        fixture.publish(lost.clone());
        eventually(SOON, async || proxy.has_lost_it()).await;
        fixture.publish(next.clone());
        each_has_one_effect(&store, &[next.id()]).await;
        let others = asked.elapsed();
        each_has_one_effect(&store, &[lost.id(), next.id()]).await;

        println!(
            "the answer to {statement} lost: the next after {others:?}, all after {:?}",
            asked.elapsed()
        );
        assert!(others < Duration::from_secs(5), "{statement}: {others:?}");
        assert!(asked.elapsed() < LOST, "{statement}: {:?}", asked.elapsed());
        no_dead_letters(&fixture).await;
        fixture.end().await;
    }
}

/// A proxy before the shared PostgreSQL.
pub(crate) async fn postgres_proxy() -> FaultProxy {
    FaultProxy::before(&postgres_url()).await
}

async fn no_dead_letters(fixture: &Fixture) {
    let letters = fixture.broker.dead_letters(EMAIL_WORKER_EVENTS, 100).await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
}

fn gate(fixture: &Fixture) -> u64 {
    metric(
        fixture,
        "waypost_consumer_gate{service=\"email-worker\",queue=\"email-worker.events\"} ",
    )
}

fn handed_back(fixture: &Fixture) -> u64 {
    metric(
        fixture,
        "waypost_messages_total{service=\"email-worker\",queue=\"email-worker.events\",outcome=\"handed_back\"} ",
    )
}

fn metric(fixture: &Fixture, series: &str) -> u64 {
    let rendered = fixture.metrics.render();
    rendered
        .lines()
        .find_map(|line| line.strip_prefix(series))
        .map_or(0, |value| value.parse().unwrap())
}
