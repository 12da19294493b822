//! The messages that a consumer has taken in before: because of them a message that comes again changes nothing.

use std::collections::HashSet;

use sea_orm::sea_query::{Alias, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Timestamp;
use crate::database::Many;

/// A message that is taken in, as the inbox keeps it.
pub(super) struct Taken<'a> {
    pub(super) id: Uuid,
    /// Its type and its trace are kept for those who ask later what happened.
    pub(super) kind: &'a str,
    pub(super) trace_id: &'a str,
}

impl Taken<'_> {
    fn to_json(&self) -> Value {
        json!({"id": self.id.simple().to_string(), "type": self.kind, "trace": self.trace_id})
    }
}

/// Remembers that `consumer` takes the message in, in the transaction `tx` of its effects.
///
/// `false`: it was taken in before; the caller changes nothing and acknowledges. Of two deliveries at
/// the same time, the unique key makes the second wait for the first one's commit.
pub(super) async fn first_time(
    tx: &impl ConnectionTrait,
    consumer: &str,
    message: Taken<'_>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let columns = ["consumer", "message_id", "received_at", "type", "trace_id"].map(Alias::new);
    let key = ["consumer", "message_id"].map(Alias::new);
    let insert = Query::insert()
        .into_table(Alias::new("inbox"))
        .columns(columns)
        .values_panic([
            consumer.into(),
            message.id.into(),
            now.as_micros().into(),
            message.kind.into(),
            message.trace_id.into(),
        ])
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .to_owned();
    Ok(tx.execute(&insert).await?.rows_affected() == 1)
}

/// As [`first_time`] for several messages; answers with those that were not taken in before.
pub(super) async fn first_times(
    tx: &impl ConnectionTrait,
    consumer: &str,
    mut messages: Vec<Taken<'_>>,
    now: Timestamp,
) -> Result<HashSet<Uuid>, DbErr> {
    // In the order of their ids everywhere: so two batches with the same messages never wait each for the other.
    messages.sort_unstable_by_key(|message| message.id);
    messages.dedup_by_key(|message| message.id);
    let backend = tx.get_database_backend();
    let listed = match backend {
        DbBackend::Postgres => "jsonb_to_recordset(CAST($2 AS jsonb)) AS listed (id uuid, type text, trace text)",
        _ => {
            "(SELECT unhex(value ->> 'id') AS id, value ->> 'type' AS type, value ->> 'trace' AS trace \
             FROM json_each($2)) AS listed"
        }
    };
    let sql = format!(
        "INSERT INTO inbox (consumer, message_id, received_at, type, trace_id) \
         SELECT $1, listed.id, $3, listed.type, listed.trace FROM {listed} WHERE true \
         ON CONFLICT (consumer, message_id) DO NOTHING RETURNING message_id"
    );
    let rows: Vec<_> = messages.iter().map(Taken::to_json).collect();
    let values = [
        consumer.into(),
        Value::from(rows).to_string().into(),
        now.as_micros().into(),
    ];
    let rows = tx
        .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    rows.iter().map(|row| row.try_get("", "message_id")).collect()
}

/// Which of these messages `consumer` has taken in.
pub(super) async fn known(connection: &impl ConnectionTrait, consumer: &str, ids: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    let backend = connection.get_database_backend();
    let ids = Many::ids(ids.iter().copied());
    let sql = format!(
        "SELECT message_id FROM inbox WHERE consumer = $2 AND {}",
        ids.hold(backend, "message_id", 1)
    );
    let statement = Statement::from_sql_and_values(backend, sql, [ids.value(), consumer.into()]);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get("", "message_id")).collect()
}
