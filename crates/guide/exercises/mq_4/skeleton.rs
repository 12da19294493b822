//! mq-4: a sign-up is committed, and then a message tells of it. When the broker is away, or the process dies between
//! the two, nobody ever hears of that person.
//!
//! Edit this file, then `make exercise E=mq-4`. `Rows` has a table `outbox`; `relay` is called again and again.

use crate::exercises::mq::dual_write::SignUps;
use crate::exercises::mq::office::{Broker, Database};

pub(crate) struct Accounts {
    database: Database,
    broker: Broker,
}

impl SignUps for Accounts {
    fn new(database: Database, broker: Broker) -> Self {
        Self { database, broker }
    }

    async fn sign_up(&self, person: u32) -> bool {
        let mut tx = self.database.begin().await;
        tx.rows.people.insert(person);
        tx.commit().await;
        // The person is there. Whether anybody hears of it is another matter.
        let _ = self.broker.publish(person).await;
        true
    }

    async fn relay(&self) {}
}
