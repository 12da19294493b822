//! The statements: one shape for all tables, each by an index in the order of age.

use sea_orm::{DbBackend, Statement, Value};

use super::table::{Age, Pruning, Table};
use crate::Timestamp;
use crate::database::first_id;

/// Deletes the oldest rows that were made, or last changed, before a time; `most` at most.
///
/// On PostgreSQL a row may have changed since it was chosen, and its condition is asked again: where rows change at all, which
/// are those of [`Pruning::only`]. Asked of others, PostgreSQL would look for all rows that are old instead of those that were
/// chosen. On SQLite nobody writes meanwhile.
pub(super) fn delete(
    backend: DbBackend,
    (table, pruning): (&Table, &Pruning),
    before: Timestamp,
    most: u64,
) -> Statement {
    let (name, key, chosen) = (table.name, pruning.key, chosen(backend, table, pruning));
    let again = match (backend, pruning.only) {
        (DbBackend::Postgres, Some(_)) => format!(" AND {} < $1{}", age(pruning), only(pruning)),
        _ => String::new(),
    };
    let sql = format!("DELETE FROM {name} WHERE ({key}) IN (SELECT {key} {chosen} LIMIT {most}){again}");
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
    fn what_was_chosen_is_asked_again_where_others_write_meanwhile() {
        let table = &super::super::DELIVERIES;
        let pruning = &table.pruning.unwrap();
        for (backend, asked) in [(DbBackend::Postgres, 2), (DbBackend::Sqlite, 1)] {
            let sql = delete(backend, (table, pruning), Timestamp::from_micros(7), 500).sql;
            assert_eq!(sql.matches("status IN ('accepted'").count(), asked, "{sql}");
            assert_eq!(sql.matches("updated_at < $1").count(), asked, "{sql}");
        }
        let inbox = &super::super::INBOX;
        let sql = delete(
            DbBackend::Postgres,
            (inbox, &inbox.pruning.unwrap()),
            Timestamp::from_micros(7),
            500,
        )
        .sql;
        assert_eq!(sql.matches("received_at < $1").count(), 1, "{sql}");
    }
}
