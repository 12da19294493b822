//! Which rows a dispatcher takes, and how those that were left behind come back.

use std::fmt::Write as _;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, Statement, Value};
use uuid::Uuid;

use super::{Delivery, Status, delivery};
use crate::Timestamp;
use crate::database::Database;

/// Candidates looked at for each row that may be claimed: room to leave busy destinations out.
const CANDIDATES: usize = 8;

/// What may be claimed.
pub(super) struct Wanted {
    pub(super) limit: usize,
    pub(super) per_destination: usize,
    pub(super) lease: Duration,
    /// What this dispatcher works on: another one may have taken it for left behind and given it back.
    pub(super) in_hand: Vec<Uuid>,
    /// Destinations that have sends under way, and how many.
    pub(super) busy: Vec<(String, usize)>,
    /// Destinations that are full or rest.
    pub(super) closed: Vec<String>,
}

/// Takes the lease of due rows, no destination above its cap, one of each destination first.
///
/// One statement, committed at once. On PostgreSQL the candidates are locked and locked ones
/// skipped, so dispatchers share the work; `SQLite` has one writer at a time anyway.
pub(super) async fn claim(database: &Database, wanted: &Wanted, now: Timestamp) -> Result<Vec<Delivery>, DbErr> {
    let mut values: Vec<Value> = vec![now.as_micros().into()];
    let mut placeholder = |text: &str| {
        values.push(text.into());
        format!("${}", values.len())
    };
    let mut open = String::new();
    if !wanted.closed.is_empty() {
        let closed: Vec<_> = wanted.closed.iter().map(|name| placeholder(name)).collect();
        let _ = write!(open, "AND destination NOT IN ({})", closed.join(", "));
    }
    let mut taken = String::from("0");
    if !wanted.busy.is_empty() {
        taken = wanted
            .busy
            .iter()
            .fold("CASE destination".to_owned(), |mut sql, (name, count)| {
                let _ = write!(sql, " WHEN {} THEN {count}", placeholder(name));
                sql
            });
        taken.push_str(" ELSE 0 END");
    }
    let lock = if database.is_postgres() {
        "FOR UPDATE SKIP LOCKED"
    } else {
        ""
    };
    let (limit, cap) = (wanted.limit, wanted.per_destination);
    let candidates = limit.saturating_mul(CANDIDATES);
    let in_hand: Vec<_> = wanted.in_hand.iter().map(|id| id.simple().to_string()).collect();
    values.push(in_hand.join(",").into());
    let not_in_hand = not_in_hand(database, values.len());
    let until = lease_end(database.write().get_database_backend(), wanted.lease, now);
    let sql = format!(
        "WITH due AS MATERIALIZED ( \
            SELECT id, destination, priority, next_attempt_at FROM deliveries \
            WHERE status = 'pending' AND next_attempt_at <= $1 {open} \
            ORDER BY priority DESC, next_attempt_at LIMIT {candidates} {lock} \
         ), placed AS ( \
            SELECT id, destination, row_number() OVER ( \
                PARTITION BY destination ORDER BY priority DESC, next_attempt_at, id) AS place FROM due \
         ), picked AS ( \
            SELECT id FROM placed WHERE place <= {cap} - {taken} ORDER BY place, id LIMIT {limit} \
         ) \
         UPDATE deliveries SET status = 'sending', lease_until = {until}, lease_number = lease_number + 1, \
            attempts = attempts + 1, updated_at = $1 \
         WHERE id IN (SELECT id FROM picked) AND status = 'pending' AND {not_in_hand} RETURNING *"
    );
    let statement = Statement::from_sql_and_values(database.write().get_database_backend(), sql, values);
    delivery::Entity::find()
        .from_raw_sql(statement)
        .all(database.write())
        .await
}

/// Leaves out the ids of one parameter. It is one whatever their number, so that the statement stays
/// the same and prepared.
fn not_in_hand(database: &Database, parameter: usize) -> String {
    if database.is_postgres() {
        format!("id <> ALL (CAST(string_to_array(${parameter}, ',') AS uuid[]))")
    } else {
        format!("instr(${parameter}, lower(hex(id))) = 0")
    }
}

/// The time by which leases are measured, in SQL.
///
/// Replicas share PostgreSQL's: clocks that differ by more than a lease would have one replica take
/// the other's live leases. It is the statement's beginning, so that no lease ends before its holder
/// believes, and an index can be used. A SQLite file serves one machine, whose clock is `now`.
fn lease_clock(backend: DbBackend, now: Timestamp) -> String {
    match backend {
        DbBackend::Postgres => "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)".to_owned(),
        _ => now.as_micros().to_string(),
    }
}

/// When a lease ends that is asked for now, in SQL.
pub(super) fn lease_end(backend: DbBackend, lease: Duration, now: Timestamp) -> String {
    format!("{} + {}", lease_clock(backend, now), lease.as_micros())
}

/// Gives back what a dispatcher left behind that no longer renews its leases; answers how many.
///
/// Not what this one has `in_hand`: after a while without the database its leases have run out, and what was
/// sent meanwhile is about to be recorded.
pub(super) async fn reap(database: &Database, in_hand: &[Uuid], now: Timestamp) -> Result<u64, DbErr> {
    use delivery::Column;
    let backend = database.write().get_database_backend();
    let done = delivery::Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Pending))
        .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Status.eq(Status::Sending))
        .filter(Expr::col(Column::LeaseUntil).lte(Expr::cust(lease_clock(backend, now))))
        .filter(Column::Id.is_not_in(in_hand.iter().copied()))
        .exec(database.write())
        .await?;
    Ok(done.rows_affected)
}

/// The oldest due row of each channel.
pub(super) async fn oldest_due(database: &Database, now: Timestamp) -> Result<Vec<(String, Timestamp)>, DbErr> {
    #[derive(FromQueryResult)]
    struct Oldest {
        channel: String,
        oldest: Timestamp,
    }
    let sql = "SELECT channel, MIN(next_attempt_at) AS oldest FROM deliveries \
               WHERE status = 'pending' AND next_attempt_at <= $1 GROUP BY channel";
    let connection = database.read();
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [now.as_micros().into()]);
    let rows = Oldest::find_by_statement(statement).all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.channel, row.oldest)).collect())
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
