//! Wrong solutions other than the skeletons; each check says what is wrong with them.

use std::collections::HashMap;
use std::time::Duration;

use super::copies::{self, Message, Takes};
use super::dual_write::{self, SignUps};
use super::office::{Broker, Database};
use super::overtaking::{self, Changed, Follows};
use super::poison::{self, Decides, Failure, Fate};

/// Publishes first and commits afterwards.
struct PublishesFirst(Database, Broker);

impl SignUps for PublishesFirst {
    fn new(database: Database, broker: Broker) -> Self {
        Self(database, broker)
    }

    async fn sign_up(&self, person: u32) -> bool {
        let is_told = self.1.publish(person).await.is_ok();
        let mut tx = self.0.begin().await;
        tx.rows.people.insert(person);
        if !is_told {
            tx.rows.outbox.insert(person);
        }
        tx.commit().await;
        true
    }

    async fn relay(&self) {
        relay(&self.0, &self.1, Order::PublishesFirst).await;
    }
}

/// Takes a row out of the outbox before it is published.
struct DeletesFirst(Database, Broker);

impl SignUps for DeletesFirst {
    fn new(database: Database, broker: Broker) -> Self {
        Self(database, broker)
    }

    async fn sign_up(&self, person: u32) -> bool {
        let mut tx = self.0.begin().await;
        tx.rows.people.insert(person);
        tx.rows.outbox.insert(person);
        tx.commit().await;
        true
    }

    async fn relay(&self) {
        relay(&self.0, &self.1, Order::DeletesFirst).await;
    }
}

/// Signs nobody up while the broker is away.
struct WaitsForTheBroker(Database, Broker);

impl SignUps for WaitsForTheBroker {
    fn new(database: Database, broker: Broker) -> Self {
        Self(database, broker)
    }

    async fn sign_up(&self, person: u32) -> bool {
        let mut tx = self.0.begin().await;
        tx.rows.people.insert(person);
        let is_told = self.1.publish(person).await.is_ok();
        if is_told {
            tx.commit().await;
        }
        is_told
    }

    async fn relay(&self) {}
}

#[derive(PartialEq)]
enum Order {
    PublishesFirst,
    DeletesFirst,
}

async fn relay(database: &Database, broker: &Broker, order: Order) {
    for person in database.read().await.outbox {
        if order == Order::PublishesFirst && broker.publish(person).await.is_err() {
            return;
        }
        let mut tx = database.begin().await;
        tx.rows.outbox.remove(&person);
        tx.commit().await;
        if order == Order::DeletesFirst && broker.publish(person).await.is_err() {
            let mut tx = database.begin().await;
            tx.rows.outbox.insert(person);
            tx.commit().await;
            return;
        }
    }
}

#[tokio::test]
async fn a_sign_up_that_publishes_first_or_waits_and_a_relay_that_deletes_first_are_named() {
    let missing = dual_write::check::<PublishesFirst>().await.unwrap_err();
    assert!(
        missing.contains("a message tells of somebody who is not there"),
        "{missing}"
    );
    let missing = dual_write::check::<DeletesFirst>().await.unwrap_err();
    assert!(missing.contains("The relay died, and its message is gone"), "{missing}");
    let missing = dual_write::check::<WaitsForTheBroker>().await.unwrap_err();
    assert!(missing.contains("10 of 20 sign-ups were refused"), "{missing}");
}

/// Remembers a message in a transaction of its own, before or after its effect.
struct Apart<const REMEMBERS_FIRST: bool>(Database);

impl<const REMEMBERS_FIRST: bool> Apart<REMEMBERS_FIRST> {
    async fn remember(&self, message: Message) {
        let mut tx = self.0.begin().await;
        tx.rows.inbox.insert(message.id);
        tx.commit().await;
    }
}

impl<const REMEMBERS_FIRST: bool> Takes for Apart<REMEMBERS_FIRST> {
    fn new(database: Database) -> Self {
        Self(database)
    }

    async fn take(&self, message: Message) {
        let mut tx = self.0.begin().await;
        if !REMEMBERS_FIRST {
            if tx.rows.inbox.contains(&message.id) {
                return;
            }
            tx.rows.mails.push(message.to);
            tx.commit().await;
            return self.remember(message).await;
        }
        if !tx.rows.inbox.insert(message.id) {
            return;
        }
        tx.commit().await;
        let mut tx = self.0.begin().await;
        tx.rows.mails.push(message.to);
        tx.commit().await;
    }
}

/// Tells messages apart by who gets the mail.
struct ByPerson(Database);

impl Takes for ByPerson {
    fn new(database: Database) -> Self {
        Self(database)
    }

    async fn take(&self, message: Message) {
        let mut tx = self.0.begin().await;
        if !tx.rows.mails.contains(&message.to) {
            tx.rows.mails.push(message.to);
            tx.commit().await;
        }
    }
}

#[tokio::test]
async fn a_memory_apart_from_the_effect_and_one_of_the_wrong_thing_are_named() {
    let missing = copies::check::<Apart<true>>().await.unwrap_err();
    assert!(missing.contains("nobody gets a mail"), "{missing}");
    let missing = copies::check::<Apart<false>>().await.unwrap_err();
    assert!(missing.contains("Two copies came at once"), "{missing}");
    let missing = copies::check::<ByPerson>().await.unwrap_err();
    assert!(missing.contains("two messages to one person are two"), "{missing}");
}

/// Sets aside what can't be read. What fails waits `WAITS` times, from `SECONDS` upwards. `BLAMES` says whether trouble of
/// the own database counts like any other failure; otherwise the message is tried again at once.
struct Ladder<const SECONDS: u64, const WAITS: u32, const BLAMES: bool>;

impl<const SECONDS: u64, const WAITS: u32, const BLAMES: bool> Decides for Ladder<SECONDS, WAITS, BLAMES> {
    fn after(failure: Failure, attempt: u32) -> Fate {
        let after = Duration::from_secs(SECONDS) * 4_u32.pow(attempt.min(8));
        match failure {
            Failure::Unreadable => Fate::Dead,
            Failure::OwnDatabase if !BLAMES => Fate::AtOnce,
            _ if attempt > WAITS => Fate::Dead,
            _ => Fate::Later {
                after,
                attempt: attempt + 1,
            },
        }
    }
}

#[test]
fn each_ladder_that_is_wrong_is_named() {
    for (checked, named) in [
        (poison::check::<Ladder<1, 4, true>>(), "for the last time after"),
        (poison::check::<Ladder<1, 1, true>>(), "set aside after 2 attempts"),
        (poison::check::<Ladder<1, 1_000, true>>(), "still is"),
        (poison::check::<Ladder<40, 4, true>>(), "more than two minutes later"),
        (poison::check::<Ladder<10, 4, true>>(), "messages were set aside for it"),
        (poison::check::<Ladder<10, 4, false>>(), "wait in between"),
    ] {
        let missing = checked.unwrap_err();
        assert!(missing.contains(named), "{missing}");
    }
}

/// Compares versions, but forgets the version of a person who is gone.
struct Forgets(HashMap<u32, Changed>);

impl Follows for Forgets {
    fn new() -> Self {
        Self(HashMap::new())
    }

    fn take(&mut self, event: Changed) {
        if self
            .0
            .get(&event.person)
            .is_some_and(|known| known.version >= event.version)
        {
            return;
        }
        match event.name {
            Some(_) => self.0.insert(event.person, event),
            None => self.0.remove(&event.person),
        };
    }

    fn name(&self, person: u32) -> Option<&'static str> {
        self.0.get(&person)?.name
    }
}

#[test]
fn a_copy_that_brings_back_who_is_gone_is_named() {
    let missing = overtaking::check::<Forgets>().unwrap_err();
    assert!(missing.contains("a late event brings it back"), "{missing}");
}
