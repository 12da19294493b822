//! The outbox: events that wait, in a table of the service's own, for the relay to publish them.
//!
//! Where Kafka is to have the events too, the same change writes them once more, into a table for Kafka's relay. Why not one
//! table with a column for the outlet:
//! - what waits for Kafka, however much, slows no read, count or delete of the broker's relay;
//! - during a roll-out, an older release that knows of no outlet would publish such rows to the broker and delete them;
//! - a message's id stays unique in its table.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use contracts::envelope::MAX_BODY_BYTES;
use contracts::{Event, EventData};
use sea_orm::sea_query::{CommonTableExpression, InsertStatement, WithClause, WithQuery};
use sea_orm::{ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryTrait};
use tokio::sync::Notify;

use super::message::OutboundMessage;
use super::rejection::Rejection;
use crate::Timestamp;
use crate::config::Service;
use crate::telemetry::TraceContext;

/// Why an event can't travel. The change that it tells of must not be committed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The data can't be written as JSON.
    #[error("the event's data can't be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// The data is larger than what a consumer reads.
    #[error("the event's data has {0} bytes, more than {MAX_BODY_BYTES}")]
    TooLarge(usize),
}

impl From<OutboxError> for Rejection {
    /// Makes it a dead letter: the event follows from the message, so another attempt would fail in the same way.
    fn from(error: OutboxError) -> Self {
        Self::dead_letter(error.to_string())
    }
}

/// The table of what waits for the broker between the services.
pub(super) const FOR_BROKER: &str = "outbox";
/// The table of what waits for Kafka.
pub(super) const FOR_KAFKA: &str = "outbox_kafka";

/// Where a service leaves its events, in the transaction of the change that they tell of. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    service: Service,
    committed: Arc<Notify>,
    /// Wakes Kafka's relay; `None`: no event is written for it.
    for_kafka: Option<Arc<Notify>>,
}

impl Outbox {
    pub(super) fn new(service: Service) -> Self {
        Self {
            service,
            committed: Arc::new(Notify::new()),
            for_kafka: None,
        }
    }

    /// The same outbox, which writes each event for Kafka too.
    pub(super) fn and_for_kafka(self) -> Self {
        Self {
            for_kafka: Some(Arc::new(Notify::new())),
            ..self
        }
    }

    /// The row of an event, in the form in which it travels, with `trace` in its headers.
    pub(super) fn row_of<T: EventData>(
        &self,
        event: &Event<T>,
        trace: TraceContext,
        now: Timestamp,
    ) -> Result<row::ActiveModel, OutboxError> {
        let message = OutboundMessage::of(self.service, event, trace).map_err(OutboxError::Encode)?;
        if message.body().len() > MAX_BODY_BYTES {
            return Err(OutboxError::TooLarge(message.body().len()));
        }
        Ok(row::ActiveModel {
            id: ActiveValue::NotSet,
            aggregate: ActiveValue::Set(event.subject),
            message_id: ActiveValue::Set(event.id),
            kind: ActiveValue::Set(T::TYPE.to_owned()),
            headers: ActiveValue::Set(serde_json::to_value(message.headers()).map_err(OutboxError::Encode)?),
            body: ActiveValue::Set(message.body().to_vec()),
            created_at: ActiveValue::Set(now),
        })
    }

    /// Writes rows, in their order, as the last statement of the transaction `tx`.
    ///
    /// The aggregates' rows were locked or written before in `tx`: that is what keeps an aggregate's
    /// events in the order of their ids.
    pub(super) async fn append(&self, tx: &impl ConnectionTrait, rows: Vec<row::ActiveModel>) -> Result<(), DbErr> {
        if rows.is_empty() {
            return Ok(());
        }
        let (insert, copy) = self.inserts(rows);
        match copy {
            None => tx.execute(&insert).await?,
            Some(copy) if tx.get_database_backend() == DbBackend::Postgres => {
                tx.execute(&together([("copied", copy)], insert)).await?
            }
            Some(copy) => {
                tx.execute(&copy).await?;
                tx.execute(&insert).await?
            }
        };
        Ok(())
    }

    /// The statement that writes `rows` for the broker, and the one that writes them for Kafka, where that is on.
    pub(super) fn inserts(&self, rows: Vec<row::ActiveModel>) -> (InsertStatement, Option<InsertStatement>) {
        let insert = row::Entity::insert_many(rows).into_query();
        let copy = self
            .for_kafka
            .is_some()
            .then(|| insert.clone().into_table(FOR_KAFKA).to_owned());
        (insert, copy)
    }

    /// Wakes the relays, after the commit.
    pub(super) fn wake(&self) {
        iter::once(&self.committed)
            .chain(&self.for_kafka)
            .for_each(|relay| relay.notify_one());
    }

    /// What wakes the broker's relay.
    pub(super) fn committed(&self) -> Arc<Notify> {
        self.committed.clone()
    }

    /// What wakes Kafka's relay, where events are written for it.
    pub(super) fn committed_for_kafka(&self) -> Option<Arc<Notify>> {
        self.for_kafka.clone()
    }
}

/// Several inserts as one statement, which PostgreSQL takes: `WITH name AS (INSERT ..), .. INSERT ..`.
pub(super) fn together(
    before: impl IntoIterator<Item = (&'static str, InsertStatement)>,
    last: InsertStatement,
) -> WithQuery {
    let mut with = WithClause::new();
    for (name, insert) in before {
        with.cte(CommonTableExpression::new().query(insert).table_name(name).to_owned());
    }
    last.with(with)
}

/// The outbox's tables, which are alike; every service's migrations make them.
pub(super) mod row {
    use sea_orm::entity::prelude::*;

    use crate::Timestamp;

    #[derive(Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub aggregate: Uuid,
        pub message_id: Uuid,
        #[sea_orm(column_name = "type")]
        pub kind: String,
        pub headers: Json,
        pub body: Vec<u8>,
        pub created_at: Timestamp,
    }

    impl std::fmt::Debug for Model {
        /// Without headers and body, which may hold personal data.
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Model")
                .field("id", &self.id)
                .field("message_id", &self.message_id)
                .field("kind", &self.kind)
                .finish_non_exhaustive()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for OutboundMessage {
    type Error = serde_json::Error;

    fn try_from(row: row::Model) -> Result<Self, Self::Error> {
        let headers: BTreeMap<String, String> = serde_json::from_value(row.headers)?;
        Ok(Self::from_parts(row.message_id, row.kind, headers, row.body.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_without_what_it_says() {
        let row = row::Model {
            id: 7,
            aggregate: uuid::Uuid::nil(),
            message_id: uuid::Uuid::nil(),
            kind: "user.registered.v1".into(),
            headers: serde_json::json!({"who": "ada@example.org"}),
            body: b"ada@example.org".to_vec(),
            created_at: Timestamp::from_micros(0),
        };
        let shown = format!("{row:?}");
        assert!(
            shown.contains("id: 7") && shown.contains("user.registered.v1"),
            "{shown}"
        );
        // As text, and as the numbers of its bytes.
        assert!(!shown.contains("ada") && !shown.contains("97, 100"), "{shown}");
    }
}
