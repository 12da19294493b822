//! The table `operations_audit`: who did what to a service, why, when and in which trace.
//!
//! A line is written once and never changed. Its `who` and `reason` may name a person, so it is for operators alone.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};
use serde_json::Value;

use super::actor::Actor;
use super::reason::Reason;
use crate::Timestamp;
use crate::telemetry::TraceContext;

/// A line of the audit.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "operations_audit")]
pub struct Model {
    /// Its id, which grows with time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it, by their own word.
    pub who: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// Why it was done.
    pub reason: String,
    /// What else there is to say of it.
    pub details: Option<Json>,
    /// The trace of the request.
    pub trace_id: String,
}

/// A line of the audit.
pub type Line = Model;

/// None: a line stands by itself.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    /// Without who and why, which may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("id", &self.id)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// What somebody does, for the audit.
#[derive(Debug)]
pub struct Action<'a> {
    /// What, as `noun.verb`.
    pub name: &'static str,
    /// To what.
    pub target: &'a str,
    /// Why.
    pub reason: &'a Reason,
    /// What else there is to say of it; bounded by whoever makes it.
    pub details: Option<Value>,
}

/// Writes the line of an action, in the trace that the calling code runs in; answers with its id.
///
/// # Errors
/// [`DbErr`] when it is not written. Then the action must not be done.
pub async fn write(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    action: Action<'_>,
    now: Timestamp,
) -> Result<Uuid, DbErr> {
    let id = Uuid::now_v7();
    let line = ActiveModel {
        id: Set(id),
        at: Set(now),
        who: Set(actor.as_str().to_owned()),
        action: Set(action.name.to_owned()),
        target: Set(action.target.to_owned()),
        reason: Set(action.reason.as_str().to_owned()),
        details: Set(action.details),
        trace_id: Set(TraceContext::current().trace_id().to_owned()),
    };
    Entity::insert(line).exec_without_returning(connection).await?;
    Ok(id)
}

/// Whether a line is there: for a commit whose answer was lost.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn exists(connection: &impl ConnectionTrait, id: Uuid) -> Result<bool, DbErr> {
    let found = Entity::find_by_id(id).select_only().column(Column::Id);
    let found = found.into_tuple::<Uuid>().one(connection).await?;
    Ok(found.is_some())
}

/// What was done before line `before`, the newest first; at most `limit` lines.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn list(connection: &impl ConnectionTrait, before: Option<Uuid>, limit: u64) -> Result<Vec<Line>, DbErr> {
    let mut lines = Entity::find();
    if let Some(before) = before {
        lines = lines.filter(Column::Id.lt(before));
    }
    lines.order_by_desc(Column::Id).limit(limit).all(connection).await
}
