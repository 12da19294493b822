//! What the relay asks of the outbox's table. Each statement has one text, whatever it leaves out.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect, Statement, Value};
use uuid::Uuid;

use crate::Timestamp;
use crate::database::{Database, Many};
use crate::messaging::outbox::row;

/// Columns of a row, in no statement `*`.
const COLUMNS: &str = "id, aggregate, message_id, type, headers, body, created_at";

/// What a read leaves where it is.
pub(super) struct NotNow {
    /// Aggregates.
    pub(super) aggregates: Vec<Uuid>,
    /// Types, and every aggregate that has a row of one: its rows must not overtake each other.
    pub(super) kinds: Vec<String>,
}

/// The oldest rows that may be published.
pub(super) async fn next(database: &Database, not_now: &NotNow, limit: u64) -> Result<Vec<row::Model>, DbErr> {
    let backend = database.read().get_database_backend();
    let aggregates = Many::ids(not_now.aggregates.iter().copied());
    let mut values = vec![aggregates.value(), size(limit)];
    let is_free = aggregates.lack(backend, "aggregate", 1);
    if not_now.kinds.is_empty() {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE {is_free} ORDER BY id LIMIT $2");
        return rows(database, sql, values).await;
    }
    let kinds = Many::words(not_now.kinds.iter().map(String::as_str));
    values.push(kinds.value());
    let (goes, waits) = (kinds.lack(backend, "type", 3), kinds.hold(backend, "type", 3));
    // Reads the table twice, whatever waits in it: 0.3 s for 200,000 rows on a busy machine.
    let sql = format!(
        "WITH free AS MATERIALIZED (SELECT id, aggregate FROM outbox WHERE {goes} AND {is_free}), \
         behind AS MATERIALIZED ( \
            SELECT aggregate FROM outbox WHERE {waits} AND aggregate IN (SELECT aggregate FROM free)) \
         SELECT {COLUMNS} FROM outbox WHERE id IN ( \
            SELECT id FROM free WHERE aggregate NOT IN (SELECT aggregate FROM behind) ORDER BY id LIMIT $2) \
         ORDER BY id"
    );
    rows(database, sql, values).await
}

/// The oldest rows of one aggregate that has a row of type `kind`: enough to try whether it may leave.
pub(super) async fn probe(
    database: &Database,
    kind: &str,
    not_now: &NotNow,
    limit: u64,
) -> Result<Vec<row::Model>, DbErr> {
    let aggregates = Many::ids(not_now.aggregates.iter().copied());
    let free = aggregates.lack(database.read().get_database_backend(), "aggregate", 1);
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE aggregate = ( \
            SELECT aggregate FROM outbox WHERE type = $3 AND {free} ORDER BY id LIMIT 1) \
         ORDER BY id LIMIT $2"
    );
    rows(database, sql, vec![aggregates.value(), size(limit), kind.into()]).await
}

/// Deletes rows by their ids.
pub(super) async fn delete(database: &Database, ids: &[i64]) -> Result<(), DbErr> {
    let connection = database.write();
    let backend = connection.get_database_backend();
    let ids = Many::numbers(ids.iter().copied());
    let sql = format!("DELETE FROM outbox WHERE {}", ids.hold(backend, "id", 1));
    let statement = Statement::from_sql_and_values(backend, sql, [ids.value()]);
    connection.execute_raw(statement).await.map(drop)
}

/// When the oldest row was written.
pub(super) async fn oldest(database: &Database) -> Result<Option<Timestamp>, DbErr> {
    let oldest = row::Entity::find()
        .select_only()
        .column(row::Column::CreatedAt)
        .order_by_asc(row::Column::Id);
    let oldest: Option<(Timestamp,)> = oldest.into_tuple().one(database.read()).await?;
    Ok(oldest.map(|(created_at,)| created_at))
}

/// How many rows there are.
pub(super) async fn count(database: &Database) -> Result<u64, DbErr> {
    row::Entity::find().count(database.read()).await
}

async fn rows(database: &Database, sql: String, values: Vec<Value>) -> Result<Vec<row::Model>, DbErr> {
    let connection = database.read();
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    row::Entity::find().from_raw_sql(statement).all(connection).await
}

fn size(limit: u64) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
