//! What operators order for deliveries: to go at once, not to go, to go once more. An order is part of the caller's change.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use uuid::Uuid;

use super::delivery::{Column, Entity};
use super::{Delivery, Filter, Reason, Status};
use crate::Timestamp;
use crate::database::Many;
use crate::telemetry::TraceContext;

/// Most deliveries that one order lets through.
const MOST: usize = 5_000;
/// The priority of a delivery that is let through alone: it goes before those that wait for their turn.
const URGENT: i32 = 100;

/// How many deliveries an order for many has reached, or would reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affected {
    /// Their number.
    pub deliveries: usize,
    /// Whether there are more; the same order, given again, reaches them.
    pub has_more: bool,
}

/// Reads a delivery and locks its row until the transaction ends; `None` when there is none with this id.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn locked(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Delivery>, DbErr> {
    Entity::find_by_id(id).lock(LockType::Update).one(tx).await
}

/// Lets a waiting delivery through at once, even while its destination rests; false when it is not waiting.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn let_through(tx: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    let sql = format!(
        "UPDATE deliveries SET retry_now = true, updated_at = $1, \
            next_attempt_at = CASE WHEN next_attempt_at > $1 THEN $1 ELSE next_attempt_at END, \
            priority = CASE WHEN priority < {URGENT} THEN {URGENT} ELSE priority END \
         WHERE id = $2 AND status = 'pending'"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [now.as_micros().into(), id.into()]);
    Ok(tx.execute_raw(statement).await?.rows_affected() == 1)
}

/// The waiting deliveries that match a filter, five thousand at most, and whether there are more. Lowest priority first; of
/// one priority, those that would be tried last.
async fn waiting(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    now: Timestamp,
) -> Result<(Vec<(Uuid, String)>, bool), DbErr> {
    let found = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Destination])
        .filter(Column::Status.eq(Status::Pending))
        .filter(filter.condition(now))
        // In the order of the index of due rows, from its end: nothing has to be sorted.
        .order_by_asc(Column::Priority)
        .order_by_desc(Column::NextAttemptAt)
        .limit(MOST as u64 + 1);
    let mut rows: Vec<(Uuid, String)> = found.into_tuple().all(connection).await?;
    let has_more = rows.len() > MOST;
    rows.truncate(MOST);
    Ok((rows, has_more))
}

/// How many deliveries [`let_all_through`] would let through now.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn count_waiting(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    now: Timestamp,
) -> Result<Affected, DbErr> {
    let (rows, has_more) = waiting(connection, filter, now).await?;
    Ok(Affected {
        deliveries: rows.len(),
        has_more,
    })
}

/// Makes the waiting deliveries that match a filter due at once, five thousand at most. One of each destination is let
/// through even while that rests, as its probe; the others go when the destination rests no more.
///
/// # Errors
/// [`DbErr`] when a statement fails.
pub async fn let_all_through(tx: &impl ConnectionTrait, filter: &Filter, now: Timestamp) -> Result<Affected, DbErr> {
    let backend = tx.get_database_backend();
    let (rows, has_more) = waiting(tx, filter, now).await?;
    let mut seen = HashSet::new();
    let first = rows.iter().filter(|(_, destination)| seen.insert(destination.as_str()));
    let probes = Many::ids(first.map(|(id, _)| *id));
    let all = Many::ids(rows.iter().map(|(id, _)| *id));
    let (is_probe, is_one) = (probes.hold(backend, "id", 2), all.hold(backend, "id", 3));
    let sql = format!(
        "UPDATE deliveries SET retry_now = retry_now OR {is_probe}, updated_at = $1, \
            next_attempt_at = CASE WHEN next_attempt_at > $1 THEN $1 ELSE next_attempt_at END \
         WHERE {is_one} AND status = 'pending'"
    );
    let values = [now.as_micros().into(), probes.value(), all.value()];
    let done = tx
        .execute_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    Ok(Affected {
        deliveries: usize::try_from(done.rows_affected()).unwrap_or(usize::MAX),
        has_more,
    })
}

/// Cancels a waiting delivery; false when it is not waiting, or when a dispatcher that had it in hand may still record how
/// its try ended.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn cancel(tx: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<bool, DbErr> {
    let done = Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Cancelled))
        .col_expr(Column::Reason, Expr::value(Reason::Cancelled))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(Status::Pending))
        .filter(Column::LeaseHolder.is_null())
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Whether a copy of a delivery, or a copy of such a copy, waits, is being sent, was accepted or was delivered.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn is_being_resent(connection: &impl ConnectionTrait, original: &Delivery) -> Result<bool, DbErr> {
    let found = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::OriginEventId.eq(original.event_id()))
        .filter(Column::Channel.eq(original.channel.as_str()))
        .filter(Column::Recipient.eq(original.recipient.as_str()))
        .filter(Column::ResendOf.eq(original.id).or(Column::Id.gt(original.id)))
        .filter(Column::Status.is_in([Status::Pending, Status::Sending, Status::Accepted, Status::Delivered]))
        .into_tuple::<Uuid>();
    Ok(found.one(connection).await?.is_some())
}

/// Adds a copy of a delivery that has ended, due at once; answers with the copy's id.
///
/// Deliveries are unique by (source event, channel, recipient). So a copy's source event is a new id, which stands for the
/// order; the event that asked for the first delivery is kept in `origin_event_id`.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn resend(tx: &impl ConnectionTrait, original: Delivery, now: Timestamp) -> Result<Uuid, DbErr> {
    let (id, trace) = (Uuid::now_v7(), TraceContext::current());
    let copy = Delivery {
        id,
        source_event_id: Uuid::now_v7(),
        resend_of: Some(original.id),
        origin_event_id: Some(original.event_id()),
        status: Status::Pending,
        reason: None,
        attempts: 0,
        next_attempt_at: now,
        lease_until: None,
        lease_number: 0,
        lease_holder: None,
        // Not the original's: an operator may have raised that.
        priority: 0,
        retry_now: false,
        traceparent: Some(trace.traceparent),
        tracestate: trace.tracestate,
        last_error: None,
        provider: None,
        provider_message_id: None,
        created_at: now,
        updated_at: now,
        ..original
    };
    Entity::insert(copy.into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(id)
}
