//! The statements: one shape for all tables, each by an index in the order of age.

use sea_orm::{DbBackend, Statement, Value};

use super::table::{Age, Pruning, Table};
use crate::Timestamp;
use crate::database::{first_id, skip_locked};

/// Deletes the oldest rows that were made, or last changed, before a time; `most` at most.
///
/// A row is locked when it is chosen; one that somebody else has locked stays for the next time. (Asked again by the `DELETE`,
/// the condition would have PostgreSQL go through all rows that are old instead of those that were chosen.)
pub(super) fn delete(
    backend: DbBackend,
    (table, pruning): (&Table, &Pruning),
    before: Timestamp,
    most: u64,
) -> Statement {
    let (name, key, chosen) = (table.name, pruning.key, chosen(backend, table, pruning));
    let lock = skip_locked(backend);
    let sql = format!(
        "WITH chosen AS MATERIALIZED (SELECT {key} {chosen} LIMIT {most} {lock}) \
         DELETE FROM {name} WHERE ({key}) IN (SELECT {key} FROM chosen)"
    );
    Statement::from_sql_and_values(backend, sql, [bound(pruning, before)])
}

/// Counts the rows that [`delete`] would delete, up to `most`.
pub(super) fn count(
    backend: DbBackend,
    (table, pruning): (&Table, &Pruning),
    before: Timestamp,
    most: u64,
) -> Statement {
    let chosen = chosen(backend, table, pruning);
    let sql = format!("SELECT COUNT(*) AS found FROM (SELECT 1 {chosen} LIMIT {most}) AS old");
    Statement::from_sql_and_values(backend, sql, [bound(pruning, before)])
}

fn chosen(backend: DbBackend, table: &Table, pruning: &Pruning) -> String {
    let (name, only, age) = (table.name, only(pruning), age(pruning));
    // Without this SQLite would take an index that has the status, and sort all rows that have ended.
    let by = match (backend, pruning.only) {
        (DbBackend::Sqlite, Some(only)) => format!(" INDEXED BY {}", only.index),
        _ => String::new(),
    };
    format!("FROM {name}{by} WHERE {age} < $1{only} ORDER BY {age}")
}

const fn age(pruning: &Pruning) -> &'static str {
    match pruning.age {
        Age::Column(column) => column,
        Age::Id => "id",
    }
}

fn only(pruning: &Pruning) -> String {
    let condition = pruning.only.map(|only| format!(" AND {}", only.condition));
    condition.unwrap_or_default()
}

fn bound(pruning: &Pruning, before: Timestamp) -> Value {
    match pruning.age {
        Age::Column(_) => before.as_micros().into(),
        Age::Id => first_id(before).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_locked_where_others_write_meanwhile() {
        for table in [&super::super::DELIVERIES, &super::super::INBOX] {
            for (backend, locks) in [(DbBackend::Postgres, true), (DbBackend::Sqlite, false)] {
                let pruning = &table.pruning.unwrap();
                let sql = delete(backend, (table, pruning), Timestamp::from_micros(7), 500).sql;
                assert_eq!(sql.contains("LIMIT 500 FOR UPDATE SKIP LOCKED)"), locks, "{sql}");
            }
        }
    }
}
