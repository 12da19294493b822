//! What a consumer has taken in before: the reason why a redelivery changes nothing.

use sea_orm::sea_query::{Alias, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::Timestamp;

/// Remembers that `consumer` takes the message in, in the transaction `tx` of its effects.
///
/// `false`: it was taken in before; the caller changes nothing and acknowledges. Two deliveries at
/// once are told apart by the unique key: the second waits for the first's commit.
pub(super) async fn first_time(
    tx: &impl ConnectionTrait,
    consumer: &str,
    message_id: Uuid,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let columns = ["consumer", "message_id", "received_at"].map(Alias::new);
    let key = ["consumer", "message_id"].map(Alias::new);
    let insert = Query::insert()
        .into_table(Alias::new("inbox"))
        .columns(columns)
        .values_panic([consumer.into(), message_id.into(), now.as_micros().into()])
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .to_owned();
    Ok(tx.execute(&insert).await?.rows_affected() == 1)
}
