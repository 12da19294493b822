//! What is written of a delivery under its lease.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::claim::lease_end;
use super::outcome::Transition;
use super::{Delivery, Status, delivery};
use crate::Timestamp;

/// Writes how a delivery stands now; false when the caller's lease is no longer the row's.
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
        .col_expr(Column::LastError, Expr::value(transition.last_error.clone()))
        .col_expr(Column::UpdatedAt, Expr::value(now));
    if let Some(id) = &transition.provider_message_id {
        update = update.col_expr(Column::ProviderMessageId, Expr::value(id.clone()));
    }
    let done = holding(update, held).exec(tx).await?;
    Ok(done.rows_affected == 1)
}

/// Gives a sign of life; false when the lease is lost.
pub(super) async fn renew(
    connection: &impl ConnectionTrait,
    held: &Delivery,
    lease: Duration,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let end = Expr::cust(lease_end(connection.get_database_backend(), lease, now));
    let update = delivery::Entity::update_many().col_expr(delivery::Column::LeaseUntil, end);
    let done = holding(update, held).exec(connection).await?;
    Ok(done.rows_affected == 1)
}

/// Narrows an update to the row whose lease `held` is.
fn holding(update: sea_orm::UpdateMany<delivery::Entity>, held: &Delivery) -> sea_orm::UpdateMany<delivery::Entity> {
    update
        .filter(delivery::Column::Id.eq(held.id))
        .filter(delivery::Column::Status.eq(Status::Sending))
        .filter(delivery::Column::LeaseNumber.eq(held.lease_number))
}
