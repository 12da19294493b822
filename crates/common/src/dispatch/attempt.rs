//! The table `delivery_attempts`: what was exchanged with whom about a delivery.
//!
//! Every exchange that reached a provider stands here, whether it cost the delivery an attempt or not.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, Statement};
use serde::Serialize;
use utoipa::ToSchema;

use super::Delivery;
use super::reply::{LIMIT, bounded};
use crate::Timestamp;
use crate::database::Many;

/// Longest reason that is kept, in bytes.
const REASON_LIMIT: usize = 500;
/// How many exchanges of a delivery are read, the newest: older ones mostly say the same.
const SHOWN: usize = 20;
/// After so many tries of a delivery, answers are not kept any more: they repeat, and a delivery may be tried for long.
const ANSWERS_UNTIL: i32 = 100;

/// One exchange with a provider about a delivery.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_attempts")]
pub struct Model {
    /// Its id, which grows with time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Id of the delivery that it was about.
    pub delivery_id: Uuid,
    /// In which attempt at the delivery, from 1.
    pub attempt: i32,
    /// When its outcome was written down.
    pub at: Timestamp,
    /// Who was asked.
    pub provider: String,
    /// What came of it.
    pub status: ExchangeStatus,
    /// What the provider answered, in its words, at most 4096 bytes: without what was sent and without secrets.
    pub answer: Option<String>,
    /// Why it ended so, in our words, at most 500 bytes.
    pub reason: Option<String>,
    /// When the delivery was to be tried again; only at the last exchange of an attempt, and only if it was.
    pub next_attempt_at: Option<Timestamp>,
}

/// No relations: attempts are found by the id of their delivery.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What came of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ExchangeStatus {
    /// They took responsibility.
    Accepted,
    /// They refused it for good.
    Rejected,
    /// It may work later, or with somebody else.
    Failed,
    /// They may have it: no answer came, or none that can be read.
    Unknown,
}

/// An exchange that reached a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who was asked.
    pub provider: String,
    /// What came of it.
    pub status: ExchangeStatus,
    /// What they answered, after [`super::Unsaid`] cut out what must not be kept. For the table, never for a log line.
    pub answer: Option<String>,
    /// Why it ended so; holds no secret and no address.
    pub reason: Option<String>,
}

impl std::fmt::Debug for Exchange {
    /// Without the answer, which is not ours.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("provider", &self.provider)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Model {
    /// Without the answer, which is not ours.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("delivery_id", &self.delivery_id)
            .field("provider", &self.provider)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Writes the exchanges of one attempt, in the change that records its outcome; `next` is when the delivery is tried again.
pub(super) async fn insert(
    connection: &impl ConnectionTrait,
    delivery: &Delivery,
    (exchanges, next): (&[Exchange], Option<Timestamp>),
    now: Timestamp,
) -> Result<(), DbErr> {
    let Some(last) = exchanges.len().checked_sub(1) else {
        return Ok(());
    };
    let answer = |exchange: &Exchange| exchange.answer.as_deref().map(|answer| bounded(answer, LIMIT));
    let rows = exchanges.iter().enumerate().map(|(place, exchange)| ActiveModel {
        id: Set(Uuid::now_v7()),
        delivery_id: Set(delivery.id),
        attempt: Set(delivery.attempts),
        at: Set(now),
        provider: Set(exchange.provider.clone()),
        status: Set(exchange.status),
        answer: Set(answer(exchange).filter(|_| delivery.attempts <= ANSWERS_UNTIL)),
        reason: Set(exchange.reason.as_deref().map(|reason| bounded(reason, REASON_LIMIT))),
        next_attempt_at: Set(next.filter(|_| place == last)),
    });
    Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(())
}

/// SQL: reads the newest [`SHOWN`] rows of each delivery, from the end of the index.
fn newest(backend: DbBackend, ids: &Many) -> String {
    const COLUMNS: &str =
        "a.id, a.delivery_id, a.attempt, a.at, a.provider, a.status, a.answer, a.reason, a.next_attempt_at";
    let is_one = ids.hold(backend, "d.id", 1);
    if backend == DbBackend::Postgres {
        return format!(
            "SELECT {COLUMNS} FROM deliveries d CROSS JOIN LATERAL ( \
                SELECT id, delivery_id, attempt, at, provider, status, answer, reason, next_attempt_at \
                FROM delivery_attempts WHERE delivery_id = d.id ORDER BY id DESC LIMIT {SHOWN} \
             ) a WHERE {is_one} ORDER BY a.id"
        );
    }
    format!(
        "SELECT {COLUMNS} FROM deliveries d JOIN delivery_attempts a ON a.delivery_id = d.id AND a.id >= COALESCE( \
            (SELECT id FROM delivery_attempts WHERE delivery_id = d.id ORDER BY id DESC LIMIT 1 OFFSET {SHOWN} - 1), x'00' \
         ) WHERE {is_one} ORDER BY a.id"
    )
}

/// The newest twenty exchanges of each of these deliveries, the oldest first.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn of(connection: &impl ConnectionTrait, deliveries: &[Delivery]) -> Result<Vec<Model>, DbErr> {
    let backend = connection.get_database_backend();
    let ids = Many::ids(deliveries.iter().map(|delivery| delivery.id));
    let statement = Statement::from_sql_and_values(backend, newest(backend, &ids), [ids.value()]);
    Entity::find().from_raw_sql(statement).all(connection).await
}
