//! Messages whose effect is a row, so that it can be told how often each had it.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use common::messaging::{Change, Changes, Consuming, Intake, Message, OutboundMessage, Rejection};
use contracts::topology::EMAIL_WORKER_EVENTS;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Statement};
use test_support::eventually;
use uuid::Uuid;

use super::fixture::{Fixture, SOON, Store, commit, someone};

/// Boots on a busy machine, and what comes after.
pub(crate) const LONG: Duration = Duration::from_mins(2);

/// Effects are rows, written in the change that the message is taken in with: none is lost between the two.
pub(crate) struct Effects;

impl Intake for Effects {
    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        let effect = format!("INSERT INTO effects VALUES ('{}')", message.id);
        change.tx().execute_unprepared(&effect).await?;
        Ok(())
    }
}

pub(crate) async fn consume(fixture: &Fixture, store: &Store) -> Consuming {
    make_table(store).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    fixture.consume_into(store, EMAIL_WORKER_EVENTS, Effects)
}

/// Publishes all of them at once, and again where a busy broker confirms none in time; how many may be there once more.
pub(crate) async fn publish_all<'a>(fixture: &Fixture, messages: impl Iterator<Item = &'a OutboundMessage>) -> usize {
    let again = Cell::new(0);
    let publishes = messages.map(|message| {
        eventually(LONG, async || {
            let published = fixture.broker.publish(message.clone()).await;
            again.set(again.get() + usize::from(published.is_err()));
            published.is_ok()
        })
    });
    join_all(publishes).await;
    again.get()
}

pub(crate) async fn make_table(store: &Store) {
    let table = "CREATE TABLE effects (id TEXT NOT NULL)";
    store.database.unguarded().execute_unprepared(table).await.unwrap();
}

/// How often each message had its effect.
pub(crate) async fn effects(store: &Store) -> HashMap<Uuid, u32> {
    let database = store.database.read();
    let query = Statement::from_string(database.get_database_backend(), "SELECT id FROM effects");
    let mut effects = HashMap::new();
    for row in eventually(SOON, async || database.query_all_raw(query.clone()).await.ok()).await {
        let id: String = row.try_get("", "id").unwrap();
        *effects.entry(id.parse().unwrap()).or_default() += 1;
    }
    effects
}

/// How many messages had an effect.
pub(crate) async fn count(store: &Store) -> usize {
    let database = store.database.read();
    let query = "SELECT count(DISTINCT id) AS n FROM effects";
    let query = Statement::from_string(database.get_database_backend(), query);
    let row = eventually(SOON, async || database.query_one_raw(query.clone()).await.ok()?).await;
    usize::try_from(row.try_get::<i64>("", "n").unwrap()).unwrap()
}

pub(crate) async fn each_has_one_effect(store: &Store, ids: &[Uuid]) {
    eventually(LONG, async || {
        let effects = effects(store).await;
        ids.iter().all(|id| effects.contains_key(id))
    })
    .await;
    let effects = effects(store).await;
    assert!(effects.values().all(|times| *times == 1), "an effect happened twice");
}

pub(crate) async fn write(changes: &Changes, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let event = someone();
        commit(changes, std::slice::from_ref(&event)).await;
        ids.push(event.id);
    }
    ids
}
