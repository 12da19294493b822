//! The table `holds`: destinations that an operator leaves alone for a time. One shape in every service that sends.
//!
//! Every claim reads the table, so a hold counts for all dispatchers from its commit on, and ends by itself at its time.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DbBackend, IntoActiveModel, QueryOrder, Statement};

use crate::Timestamp;
use crate::database::Database;

/// Most waiting deliveries that one count looks at, whether they are due or not.
const MOST_COUNTED: u32 = 10_000;

/// A destination that is held.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "holds")]
pub struct Model {
    /// What is held: a destination, which includes all that is part of it, or a provider.
    #[sea_orm(primary_key, auto_increment = false)]
    pub destination: String,
    /// Until when.
    pub until: Timestamp,
    /// Why, for those who run the service.
    pub reason: String,
    /// Who ordered it, as they named themselves.
    pub who: String,
    /// Since when.
    pub since: Timestamp,
}

/// No relations: a hold stands by itself.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    /// Without who and why, which may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("destination", &self.destination)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// Holds a destination; replaces a hold that it had.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn put(tx: &impl ConnectionTrait, hold: Model) -> Result<(), DbErr> {
    let replace = OnConflict::column(Column::Destination)
        .update_columns([Column::Until, Column::Reason, Column::Who, Column::Since])
        .to_owned();
    let insert = Entity::insert(hold.into_active_model()).on_conflict(replace);
    insert.exec_without_returning(tx).await?;
    Ok(())
}

/// Ends the hold of a destination; false when it was not held at `now`.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn end(tx: &impl ConnectionTrait, destination: &str, now: Timestamp) -> Result<bool, DbErr> {
    let found = Entity::find_by_id(destination).one(tx).await?;
    Entity::delete_by_id(destination).exec(tx).await?;
    Ok(found.is_some_and(|hold| hold.until > now))
}

/// The holds whose time is not over at `now`, in the order of their names.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn list(connection: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let held = Entity::find().filter(Column::Until.gt(now));
    held.order_by_asc(Column::Destination).all(connection).await
}

/// SQL: neither the destination of a row of `deliveries` nor the one that it is part of is held. `$1` is the time.
pub(super) fn not_held(backend: DbBackend) -> String {
    let whole = whole(backend);
    if backend == DbBackend::Postgres {
        // The planner sees neither the rows nor how many there are: it goes on reading in the order of the index.
        return format!(
            "NOT COALESCE((SELECT array_agg(holds.destination) FROM holds WHERE holds.until > $1) \
             && ARRAY[deliveries.destination, {whole}], false)"
        );
    }
    let held = "(SELECT holds.destination FROM holds WHERE holds.until > $1)";
    format!("deliveries.destination NOT IN {held} AND {whole} NOT IN {held}")
}

/// SQL: the whole that the destination of a row of `deliveries` is part of, in the words of the index on it: `mail` for
/// `mail-7`, `webhook` for `webhook.<id>`; a destination that is no part is its own whole.
pub(super) const fn whole(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "split_part(translate(deliveries.destination, '.', '-'), '-', 1)",
        _ => {
            "substr(deliveries.destination, 1, \
             instr(replace(deliveries.destination, '.', '-') || '-', '-') - 1)"
        }
    }
}

/// The destinations, as [`whole`] names them, that deliveries wait for and nobody holds; `None`: nothing is held at all.
///
/// It reads one row of each destination, however many wait there.
pub(super) async fn open(database: &Database, now: Timestamp) -> Result<Option<Vec<String>>, DbErr> {
    let connection = database.write();
    let held = list(connection, now).await?;
    if held.is_empty() {
        return Ok(None);
    }
    let backend = connection.get_database_backend();
    let rows = connection
        .query_all_raw(Statement::from_string(backend, waited_for(backend)))
        .await?;
    let mut open = Vec::with_capacity(rows.len());
    for row in rows {
        let whole: String = row.try_get("", "whole")?;
        if !held.iter().any(|hold| hold.destination == whole) {
            open.push(whole);
        }
    }
    Ok(Some(open))
}

/// SQL: the destinations that deliveries wait for, each once, found by one look at the index for each.
fn waited_for(backend: DbBackend) -> String {
    let (whole, rows) = (whole(backend), by_whole(backend));
    let first =
        |after: &str| format!("(SELECT {whole} FROM {rows} WHERE status = 'pending'{after} ORDER BY {whole} LIMIT 1)");
    let (lowest, next) = (first(""), first(&format!(" AND {whole} > found.whole")));
    format!(
        "WITH RECURSIVE found (whole) AS ( \
            SELECT {lowest} UNION ALL SELECT {next} FROM found WHERE whole IS NOT NULL \
         ) SELECT whole FROM found WHERE whole IS NOT NULL"
    )
}

/// SQL: the table, read by the index on [`whole`].
const fn by_whole(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "deliveries",
        // Without the hint SQLite would read all rows that wait, by another index, and sort them.
        _ => "deliveries INDEXED BY deliveries_whole",
    }
}

/// How many deliveries are due behind a hold, counted among the first ten thousand that wait for the same [`whole`].
pub(super) async fn waiting(connection: &impl ConnectionTrait, held: &str, now: Timestamp) -> Result<u64, DbErr> {
    let counting = counting(connection.get_database_backend(), held, now);
    let row = connection.query_one_raw(counting).await?;
    let count: Option<i64> = row.map(|row| row.try_get("", "waiting")).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

/// The limit stands below the conditions: rows that are not due, or of another part, count towards it too, so that the read
/// ends. In the order of the index, by priority and then by time: so of each priority what is due comes first.
pub(super) fn counting(backend: DbBackend, held: &str, now: Timestamp) -> Statement {
    let sql = format!(
        "SELECT COUNT(*) AS waiting FROM ( \
            SELECT destination, next_attempt_at FROM {} WHERE status = 'pending' AND {} = $2 \
            ORDER BY priority DESC, next_attempt_at LIMIT {MOST_COUNTED} \
         ) AS looked_at WHERE next_attempt_at <= $1 AND (destination = $3 OR $3 = $2)",
        by_whole(backend),
        whole(backend)
    );
    let of = held.split(['.', '-']).next().unwrap_or(held);
    let values = [now.as_micros().into(), of.into(), held.into()];
    Statement::from_sql_and_values(backend, sql, values)
}
