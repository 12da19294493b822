//! Table `fences`: the highest number that was given to a holder of each lock.
//!
//! A holder that was paused for longer than its lease has a lower number than the next holder, and its writes are refused.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// Gives the next number for `name`: 1 for the first holder, and each time one more.
pub(crate) async fn raise(tx: &impl ConnectionTrait, name: &str) -> Result<u64, DbErr> {
    let sql = "INSERT INTO fences (name, number) VALUES ($1, 1) \
               ON CONFLICT (name) DO UPDATE SET number = fences.number + 1 RETURNING number";
    let raise = Statement::from_sql_and_values(tx.get_database_backend(), sql, [name.into()]);
    let row = tx.query_one_raw(raise).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a fencing number that was just raised".to_owned()))?;
    row.try_get::<i64>("", "number").map(i64::unsigned_abs)
}

/// Whether `number` is the highest that was given for `name`. The answer holds until the transaction ends: no higher
/// number is given before that.
pub(crate) async fn is_highest(tx: &impl ConnectionTrait, name: &str, number: u64) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    // SQLite's transaction keeps all other writers out.
    let lock = if backend == DbBackend::Postgres {
        "FOR SHARE"
    } else {
        ""
    };
    let sql = format!("SELECT number FROM fences WHERE name = $1 {lock}");
    let select = Statement::from_sql_and_values(backend, sql, [name.into()]);
    let row = tx.query_one_raw(select).await?;
    let highest = row.map(|row| row.try_get::<i64>("", "number")).transpose()?;
    Ok(highest.map(i64::unsigned_abs) == Some(number))
}
