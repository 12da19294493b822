//! mq-4, a solution: the message is a row of the same transaction, and a relay publishes rows until they are confirmed.

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
        tx.rows.outbox.insert(person);
        tx.commit().await;
        true
    }

    async fn relay(&self) {
        for person in self.database.read().await.outbox {
            // No transaction is open while the broker is waited for.
            if self.broker.publish(person).await.is_err() {
                return;
            }
            // Dying here means to publish it once more: at least once, never not at all.
            let mut tx = self.database.begin().await;
            tx.rows.outbox.remove(&person);
            tx.commit().await;
        }
    }
}
