//! What operators order for deliveries: to go at once, not to go, to go once more. Each is part of a change of the caller's.

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
/// One that is let through alone goes before those that wait for their turn.
const URGENT: i32 = 100;

/// What an order for many came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affected {
    /// So many.
    pub deliveries: usize,
    /// Whether there are more, which the same order reaches next.
    pub has_more: bool,
}

/// A delivery as it stands, which stays so until the transaction ends.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn locked(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Delivery>, DbErr> {
    Entity::find_by_id(id).lock(LockType::Update).one(tx).await
}

/// Lets one that waits through at once, as the probe of a destination that rests; false when it does not wait.
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

/// Those that wait and are meant by a filter, five thousand at most; of a priority the last to be tried first.
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
        // The index of what is due, from its end: nothing is sorted.
        .order_by_asc(Column::Priority)
        .order_by_desc(Column::NextAttemptAt)
        .limit(MOST as u64 + 1);
    let mut rows: Vec<(Uuid, String)> = found.into_tuple().all(connection).await?;
    let has_more = rows.len() > MOST;
    rows.truncate(MOST);
    Ok((rows, has_more))
}

/// How many [`let_all_through`] would let through.
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

/// Makes all that wait and are meant by a filter due at once, five thousand at most. Of each destination one is its probe: the
/// others go when that one is through.
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

/// Takes one back that waits; false when it does not wait, or whoever had it in hand may yet tell what came of it.
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

/// Whether a copy of a delivery, or a copy of such a copy, is on its way or was taken.
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

/// Orders a copy of one that has ended, due at once; answers with its id.
///
/// Deliveries are unique by (source event, channel, recipient): a copy's source event is the order itself, so that each order
/// makes one; what asked for the first stays in `origin_event_id`.
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
        // What an operator lifted was the first one.
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
