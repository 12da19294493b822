//! The outbox: events that wait, in a table of the service's own, for the relay to publish them.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::envelope::MAX_BODY_BYTES;
use contracts::{Event, EventData};
use sea_orm::{ActiveValue, ConnectionTrait, DbErr, EntityTrait};
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
    /// It came with the message: another attempt would fail in the same way.
    fn from(error: OutboxError) -> Self {
        Self::dead_letter(error.to_string())
    }
}

/// Where a service leaves its events, in the transaction of what they tell of. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    service: Service,
    committed: Arc<Notify>,
}

impl Outbox {
    pub(super) fn new(service: Service) -> Self {
        Self {
            service,
            committed: Arc::new(Notify::new()),
        }
    }

    /// The row of an event, in the form in which it travels, with where the trace stands.
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
    pub(super) async fn append(tx: &impl ConnectionTrait, rows: Vec<row::ActiveModel>) -> Result<(), DbErr> {
        if !rows.is_empty() {
            row::Entity::insert_many(rows).exec_without_returning(tx).await?;
        }
        Ok(())
    }

    /// Wakes the relay, after the commit.
    pub(super) fn wake(&self) {
        self.committed.notify_one();
    }

    pub(super) fn committed(&self) -> Arc<Notify> {
        self.committed.clone()
    }
}

/// The outbox table; every service's migrations make it.
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
