//! The table `delivery_attempts`: what was exchanged with whom about a delivery.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::Delivery;
use crate::Timestamp;

/// One exchange with one who was to deliver.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_attempts")]
pub struct Model {
    /// Its id, which grows with time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What was to be delivered.
    pub delivery_id: Uuid,
    /// In which of its attempts, from 1.
    pub attempt: i32,
    /// When its outcome was written down.
    pub at: Timestamp,
    /// Who was asked.
    pub provider: String,
    /// What came of it.
    pub status: ExchangeStatus,
    /// What they said, without bodies and secrets.
    pub answer: Option<String>,
}

/// None: an attempt goes with its delivery.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What came of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who was asked.
    pub provider: String,
    /// What came of it.
    pub status: ExchangeStatus,
    /// What they said: no secret, no address.
    pub answer: Option<String>,
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

/// Writes the exchanges of one attempt, in the change that records its outcome.
pub(super) async fn insert(
    connection: &impl ConnectionTrait,
    delivery: &Delivery,
    exchanges: &[Exchange],
    now: Timestamp,
) -> Result<(), DbErr> {
    if exchanges.is_empty() {
        return Ok(());
    }
    let rows = exchanges.iter().map(|exchange| ActiveModel {
        id: Set(Uuid::now_v7()),
        delivery_id: Set(delivery.id),
        attempt: Set(delivery.attempts),
        at: Set(now),
        provider: Set(exchange.provider.clone()),
        status: Set(exchange.status),
        answer: Set(exchange.answer.clone()),
    });
    Entity::insert_many(rows).exec_without_returning(connection).await?;
    Ok(())
}
