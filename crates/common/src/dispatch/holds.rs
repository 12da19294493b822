//! The table `holds`: destinations that an operator leaves alone for a time. One shape in every service that sends.
//!
//! A claim reads the table itself, so a hold is every dispatcher's from its commit on, and ends by itself.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DbBackend, IntoActiveModel, QueryOrder, Statement};

use crate::Timestamp;
use crate::database::Database;

/// Deliveries that wait of which a count looks at most, whether they are due or not.
const MOST_COUNTED: u32 = 10_000;

/// A destination that is held.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "holds")]
pub struct Model {
    /// What is held: a destination, all that is part of it, or one of those who deliver.
    #[sea_orm(primary_key, auto_increment = false)]
    pub destination: String,
    /// Until when.
    pub until: Timestamp,
    /// Why, for those who run the service.
    pub reason: String,
    /// Who said so, by their own word.
    pub who: String,
    /// Since when.
    pub since: Timestamp,
}

/// None: a hold stands by itself.
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

/// Holds a destination, in place of a hold that it had.
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

/// Ends the hold of a destination; false when it was not held.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn end(tx: &impl ConnectionTrait, destination: &str, now: Timestamp) -> Result<bool, DbErr> {
    let found = Entity::find_by_id(destination).one(tx).await?;
    Entity::delete_by_id(destination).exec(tx).await?;
    Ok(found.is_some_and(|hold| hold.until > now))
}

/// What is held, by name.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn list(connection: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let held = Entity::find().filter(Column::Until.gt(now));
    held.order_by_asc(Column::Destination).all(connection).await
}

/// SQL: nobody holds the destination of a row of `deliveries`, nor that which it is part of. `$1` is the time.
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

/// SQL: what the destination of a row of `deliveries` is part of, in the words of the index on it: `mail` and `webhook` of
/// `mail-7` and `webhook.<id>`; of one that is no part, itself.
pub(super) const fn whole(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "split_part(translate(deliveries.destination, '.', '-'), '-', 1)",
        _ => {
            "substr(deliveries.destination, 1, \
             instr(replace(deliveries.destination, '.', '-') || '-', '-') - 1)"
        }
    }
}

/// What something waits for and nobody holds, as [`whole`] says it; `None`: nothing at all is held.
///
/// It reads a row of each, however many wait there.
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

/// SQL: what something waits for, each once, by a look at the index for each.
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
        // It would read all that waits, by another index, and sort it.
        _ => "deliveries INDEXED BY deliveries_whole",
    }
}

/// How many deliveries are due behind a hold, among the first ten thousand that wait for it and what it is part of.
pub(super) async fn waiting(connection: &impl ConnectionTrait, held: &str, now: Timestamp) -> Result<u64, DbErr> {
    let counting = counting(connection.get_database_backend(), held, now);
    let row = connection.query_one_raw(counting).await?;
    let count: Option<i64> = row.map(|row| row.try_get("", "waiting")).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

/// The limit stands below the conditions: what is not due, or of another part, ends the read as well. In the order of the
/// index, so that what is due comes first.
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
