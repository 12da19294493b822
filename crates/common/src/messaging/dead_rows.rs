//! Dead letters as rows of the consuming service's own database: where they are kept while the broker is in memory.
//!
//! A row stays until its message is taken in or somebody drops it. Whoever wants the message back in its queue writes the
//! headers of the copy into the row (`ask`). The process that has the queue finds such rows (`asked`), now or at its next
//! start.

use std::collections::BTreeMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use serde::{Deserialize, Serialize};

use super::wire::Wire;
use crate::Timestamp;
use crate::database::{Database, Many};

/// Headers and content type as a row keeps them.
#[derive(Serialize, Deserialize)]
struct Envelope {
    content_type: Option<String>,
    headers: BTreeMap<String, String>,
}

/// A letter of a page: without its body, which may be large.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) wire: Wire,
}

/// What became of a row that somebody wanted back in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The process that has the queue has not taken it yet, or is not done with it.
    Asked,
    /// It was tried and set aside again.
    DeadAgain,
}

/// Keeps a letter.
pub(super) async fn insert(database: &Database, queue: &str, letter: &Wire, now: Timestamp) -> Result<(), DbErr> {
    let row = row::ActiveModel {
        id: NotSet,
        queue: Set(queue.to_owned()),
        headers: Set(envelope(letter)?),
        body: Set(letter.body.to_vec()),
        dead_at: Set(now),
        asked_at: Set(None),
        replay_headers: Set(None),
    };
    row::Entity::insert(row)
        .exec_without_returning(database.write())
        .await
        .map(drop)
}

/// Keeps a letter that was put back from row `id` and set aside again; it can be asked for anew.
pub(super) async fn keep_again(database: &Database, id: i64, letter: &Wire, now: Timestamp) -> Result<(), DbErr> {
    row::Entity::update_many()
        .col_expr(row::Column::Headers, Expr::value(envelope(letter)?))
        .col_expr(row::Column::DeadAt, Expr::value(now.as_micros()))
        .col_expr(row::Column::AskedAt, Expr::value(Option::<i64>::None))
        .col_expr(row::Column::ReplayHeaders, Expr::value(Option::<Vec<u8>>::None))
        .filter(row::Column::Id.eq(id))
        .exec(database.write())
        .await
        .map(drop)
}

/// Forgets a letter; false when it was not there.
pub(super) async fn delete(database: &Database, id: i64) -> Result<bool, DbErr> {
    let deleted = row::Entity::delete_by_id(id).exec(database.write()).await?;
    Ok(deleted.rows_affected == 1)
}

/// How many letters a queue has.
pub(super) async fn count(database: &Database, queue: &str) -> Result<u64, DbErr> {
    of(queue).count(database.read()).await
}

/// The letters of a queue behind row `after`, the oldest first, `limit` at most, without their bodies.
pub(super) async fn page(database: &Database, queue: &str, after: i64, limit: u64) -> Result<Vec<Row>, DbErr> {
    let rows: Vec<(i64, Vec<u8>)> = of(queue)
        .filter(row::Column::Id.gt(after))
        .select_only()
        .columns([row::Column::Id, row::Column::Headers])
        .order_by_asc(row::Column::Id)
        .limit(limit)
        .into_tuple()
        .all(database.read())
        .await?;
    rows.into_iter()
        .map(|(id, headers)| {
            let wire = wire(&headers)?;
            Ok(Row { id, wire })
        })
        .collect()
}

/// The body of a letter, where that is still there.
pub(super) async fn body(database: &Database, id: i64) -> Result<Option<Vec<u8>>, DbErr> {
    let body = row::Entity::find_by_id(id).select_only().column(row::Column::Body);
    body.into_tuple().one(database.read()).await
}

/// The body of a letter that somebody wants back in its queue; `None` when it is gone or nobody wants it.
pub(super) async fn asked_body(database: &Database, id: i64) -> Result<Option<Vec<u8>>, DbErr> {
    let body = row::Entity::find_by_id(id)
        .filter(row::Column::AskedAt.gt(0))
        .select_only()
        .column(row::Column::Body);
    body.into_tuple().one(database.read()).await
}

/// Asks for row `id` to go back into its queue, with the headers of `copy`; false when it is gone or asked for already.
pub(super) async fn ask(database: &Database, id: i64, copy: &Wire, now: Timestamp) -> Result<bool, DbErr> {
    let asked = row::Entity::update_many()
        .col_expr(row::Column::AskedAt, Expr::value(now.as_micros()))
        .col_expr(row::Column::ReplayHeaders, Expr::value(envelope(copy)?))
        .filter(row::Column::Id.eq(id))
        .filter(row::Column::AskedAt.is_null())
        .exec(database.write())
        .await?;
    Ok(asked.rows_affected == 1)
}

/// The letters that somebody wants back in a queue, the oldest first: with the headers of the copy, without the bodies.
pub(super) async fn asked(database: &Database, queue: &str, limit: u64) -> Result<Vec<Row>, DbErr> {
    let rows: Vec<(i64, Option<Vec<u8>>)> = of(queue)
        // Not `IS NOT NULL`: so an index is used on both databases.
        .filter(row::Column::AskedAt.gt(0))
        .select_only()
        .columns([row::Column::Id, row::Column::ReplayHeaders])
        .order_by_asc(row::Column::Id)
        .limit(limit)
        .into_tuple()
        .all(database.read())
        .await?;
    rows.into_iter()
        .map(|(id, headers)| {
            let wire = wire(&headers.unwrap_or_default())?;
            Ok(Row { id, wire })
        })
        .collect()
}

/// What became of these rows; those that are not in the answer are gone.
pub(super) async fn standing(database: &Database, ids: &[i64]) -> Result<BTreeMap<i64, Standing>, DbErr> {
    let connection = database.read();
    let backend = connection.get_database_backend();
    let ids = Many::numbers(ids.iter().copied());
    let sql = format!(
        "SELECT id, asked_at FROM dead_letters WHERE {}",
        ids.hold(backend, "id", 1)
    );
    let statement = Statement::from_sql_and_values(backend, sql, [ids.value()]);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| {
            let standing = match row.try_get::<Option<i64>>("", "asked_at")? {
                Some(_) => Standing::Asked,
                None => Standing::DeadAgain,
            };
            Ok((row.try_get("", "id")?, standing))
        })
        .collect()
}

fn of(queue: &str) -> sea_orm::Select<row::Entity> {
    row::Entity::find().filter(row::Column::Queue.eq(queue))
}

fn envelope(wire: &Wire) -> Result<Vec<u8>, DbErr> {
    let envelope = Envelope {
        content_type: wire.content_type.clone(),
        headers: wire.headers.clone(),
    };
    serde_json::to_vec(&envelope).map_err(unreadable)
}

/// The message without its body.
fn wire(headers: &[u8]) -> Result<Wire, DbErr> {
    let Envelope { content_type, headers } = serde_json::from_slice(headers).map_err(unreadable)?;
    Ok(Wire {
        content_type,
        headers,
        ..Wire::default()
    })
}

fn unreadable(error: impl std::borrow::Borrow<serde_json::Error>) -> DbErr {
    // Without the error's text, which may quote the headers.
    DbErr::Json(format!("the headers of a dead letter: {:?}", error.borrow().classify()))
}

/// The table; the migrations of every service that consumes make it.
#[expect(unreachable_pub, reason = "as the derive writes the rest of it")]
pub(super) mod row {
    use sea_orm::entity::prelude::*;

    use crate::Timestamp;

    #[derive(Clone, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dead_letters")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub queue: String,
        pub headers: Vec<u8>,
        pub body: Vec<u8>,
        pub dead_at: Timestamp,
        pub asked_at: Option<Timestamp>,
        pub replay_headers: Option<Vec<u8>>,
    }

    impl std::fmt::Debug for Model {
        /// Without headers and body, which may hold personal data.
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Model")
                .field("id", &self.id)
                .field("queue", &self.queue)
                .finish_non_exhaustive()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
