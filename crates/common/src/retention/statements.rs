//! The statements: one shape for all tables, each by an index in the order of age.

use sea_orm::{DbBackend, Statement, Value};
use uuid::Uuid;

use super::table::{Age, Pruning, Table};
use crate::Timestamp;

/// Deletes the oldest rows that were made, or last changed, before a time; so many at most.
///
/// On PostgreSQL what makes a row one that may go is asked again of the row itself: it may have changed since it was
/// chosen. On SQLite nobody writes meanwhile.
pub(super) fn delete(
    backend: DbBackend,
    (table, pruning): (&Table, &Pruning),
    before: Timestamp,
    most: u64,
) -> Statement {
    let (name, key, chosen) = (table.name, pruning.key, chosen(backend, table, pruning));
    let again = match backend {
        DbBackend::Postgres => only(pruning),
        _ => String::new(),
    };
    let sql = format!("DELETE FROM {name} WHERE ({key}) IN (SELECT {key} {chosen} LIMIT {most}){again}");
    Statement::from_sql_and_values(backend, sql, [bound(pruning, before)])
}

/// Counts the same rows, up to `most`.
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
    let (name, only) = (table.name, only(pruning));
    let age = match pruning.age {
        Age::Column(column) => column,
        Age::Id => "id",
    };
    // SQLite would take an index that has the status, and sort all that have ended.
    let by = match (backend, pruning.only) {
        (DbBackend::Sqlite, Some(only)) => format!(" INDEXED BY {}", only.index),
        _ => String::new(),
    };
    format!("FROM {name}{by} WHERE {age} < $1{only} ORDER BY {age}")
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

/// The least `UUIDv7` of the millisecond of `at`.
fn first_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
    let [_, _, rest @ ..] = millis.to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&rest);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::{NoContext, Timestamp as Moment};

    use super::*;

    #[test]
    fn an_id_is_before_a_time_as_the_row_that_has_it() {
        let at = Timestamp::from_micros(1_764_486_000_123_456);
        let made = |at: Timestamp| {
            let seconds = u64::try_from(at.as_seconds()).unwrap();
            let nanos = u32::try_from(at.as_micros().rem_euclid(1_000_000) * 1_000).unwrap();
            Uuid::new_v7(Moment::from_unix(NoContext, seconds, nanos))
        };
        let bound = first_id(at);
        assert_eq!(bound.get_version_num(), 7);
        assert!(made(at) >= bound);
        assert!(made(at + Duration::from_millis(1)) > bound);
        assert!(made(at - Duration::from_millis(1)) < bound);
        assert_eq!(first_id(Timestamp::from_micros(-1)).as_bytes()[..6], [0; 6]);
    }

    #[test]
    fn what_was_chosen_is_asked_again_where_others_write_meanwhile() {
        let table = &super::super::DELIVERIES;
        let pruning = &table.pruning.unwrap();
        for (backend, asked) in [(DbBackend::Postgres, 2), (DbBackend::Sqlite, 1)] {
            let sql = delete(backend, (table, pruning), Timestamp::from_micros(7), 500).sql;
            assert_eq!(sql.matches("status IN ('accepted'").count(), asked, "{sql}");
        }
    }
}
