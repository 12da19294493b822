//! What the holder of a lease writes into the delivery's row.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Statement, TryGetable,
};
use uuid::Uuid;

use super::claim::lease_end;
use super::outcome::Transition;
use super::{Delivery, Status, delivery};
use crate::Timestamp;
use crate::database::Many;

/// Writes how a delivery stands now; false when the caller's lease is no longer the row's.
///
/// A lease that was given back in the meantime and taken by nobody still counts.
pub(super) async fn apply(
    tx: &impl ConnectionTrait,
    held: &Delivery,
    transition: &Transition,
    now: Timestamp,
) -> Result<bool, DbErr> {
    use delivery::Column;
    if !Status::Sending.may_become(transition.to) {
        return Ok(false);
    }
    let mut update = delivery::Entity::update_many()
        .col_expr(Column::Status, Expr::value(transition.to))
        .col_expr(Column::Reason, Expr::value(transition.reason))
        .col_expr(Column::Attempts, Expr::value(transition.attempts))
        .col_expr(Column::NextAttemptAt, Expr::value(transition.next_attempt_at))
        .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(Column::LeaseHolder, Expr::value(None::<Uuid>))
        .col_expr(Column::LastError, Expr::value(transition.last_error.clone()))
        .col_expr(Column::Provider, Expr::value(transition.provider.clone()))
        .col_expr(Column::RetryNow, Expr::value(transition.retry_now))
        .col_expr(Column::UpdatedAt, Expr::value(now));
    if let Some(id) = &transition.provider_message_id {
        update = update.col_expr(Column::ProviderMessageId, Expr::value(id.clone()));
    }
    let ours = Condition::any()
        .add(Column::Status.eq(Status::Sending))
        // Another dispatcher made it due again: the row keeps its holder until somebody takes it.
        .add(
            Column::Status
                .eq(Status::Pending)
                .and(Column::LeaseHolder.is_not_null()),
        );
    let done = update
        .filter(Column::Id.eq(held.id))
        .filter(Column::LeaseNumber.eq(held.lease_number))
        .filter(ours)
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Whether an outcome was written by [`apply`] at `now`: for a commit whose answer was lost.
pub(super) async fn was_applied(
    connection: &impl ConnectionTrait,
    held: &Delivery,
    now: Timestamp,
) -> Result<bool, DbErr> {
    use delivery::Column;
    let found = delivery::Entity::find_by_id(held.id)
        .select_only()
        .column(Column::Id)
        .filter(Column::LeaseNumber.eq(held.lease_number))
        .filter(Column::LeaseHolder.is_null())
        .filter(Column::UpdatedAt.eq(now))
        .into_tuple::<Uuid>()
        .one(connection)
        .await?;
    Ok(found.is_some())
}

/// Renews the leases of what `holder` has in hand, its sign of life; answers with the deliveries that are still its own.
pub(super) async fn renew(
    connection: &impl ConnectionTrait,
    holder: Uuid,
    deliveries: &[Uuid],
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let backend = connection.get_database_backend();
    let deliveries = Many::ids(deliveries.iter().copied());
    let (end, ours) = (lease_end(backend, lease, now), deliveries.hold(backend, "id", 2));
    let sql = format!(
        "UPDATE deliveries SET lease_until = {end} \
         WHERE status = 'sending' AND lease_holder = $1 AND {ours} RETURNING id"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [holder.into(), deliveries.value()]);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Uuid::try_get_by(row, "id").map_err(DbErr::from))
        .collect()
}
