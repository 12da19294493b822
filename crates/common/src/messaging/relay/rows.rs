//! The statements of a relay on its outbox's table. What a statement leaves out is in its parameters, however much: so there
//! are few texts, and they stay prepared.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Timestamp;
use crate::database::{Database, Many};
use crate::messaging::outbox::row;

/// The columns of a row, by name: no statement reads `*`.
const COLUMNS: &str = "id, aggregate, message_id, type, headers, body, created_at";

/// Rows that are counted at most: the relay waits for the count.
const MOST_COUNTED: u64 = 100_000;

/// The rows that a read leaves out.
pub(super) struct NotNow {
    /// Ids up to this one: no row is there any more, and none will come.
    pub(super) mark: i64,
    /// Aggregates.
    pub(super) aggregates: Vec<Uuid>,
    /// Types, and with each type every aggregate that has a row of it: an aggregate's rows must not overtake each other.
    pub(super) kinds: Vec<String>,
}

/// The table of one relay.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) database: Database,
    /// Its name.
    pub(super) table: &'static str,
}

impl Rows {
    /// The oldest rows that may be published.
    pub(super) async fn next(&self, not_now: &NotNow, limit: u64) -> Result<Vec<row::Model>, DbErr> {
        let (table, backend) = (self.table, self.database.read().get_database_backend());
        let aggregates = Many::ids(not_now.aggregates.iter().copied());
        let mut values = vec![aggregates.value(), size(limit), not_now.mark.into()];
        let is_free = format!("{} AND id > $3", aggregates.lack(backend, "aggregate", 1));
        if not_now.kinds.is_empty() {
            let sql = format!("SELECT {COLUMNS} FROM {table} WHERE {is_free} ORDER BY id LIMIT $2");
            return self.rows(sql, values).await;
        }
        let kinds = Many::words(not_now.kinds.iter().map(String::as_str));
        values.push(kinds.value());
        let (goes, waits) = (kinds.lack(backend, "type", 4), kinds.hold(backend, "type", 4));
        // Reads the table twice, whatever waits in it: 0.3 s for 200,000 rows on a busy machine.
        let sql = format!(
            "WITH free AS MATERIALIZED (SELECT id, aggregate FROM {table} WHERE {goes} AND {is_free}), \
             behind AS MATERIALIZED ( \
                SELECT aggregate FROM {table} WHERE {waits} AND id > $3 AND aggregate IN (SELECT aggregate FROM free)) \
             SELECT {COLUMNS} FROM {table} WHERE id IN ( \
                SELECT id FROM free WHERE aggregate NOT IN (SELECT aggregate FROM behind) ORDER BY id LIMIT $2) \
             ORDER BY id"
        );
        self.rows(sql, values).await
    }

    /// The oldest rows of one aggregate that has a row of type `kind`: to try whether messages of that type are taken again.
    /// It is none in which a row of another type that waits stands before it: that one may be refused in its place, each time.
    pub(super) async fn probe(&self, kind: &str, not_now: &NotNow, limit: u64) -> Result<Vec<row::Model>, DbErr> {
        let (table, backend) = (self.table, self.database.read().get_database_backend());
        let aggregates = Many::ids(not_now.aggregates.iter().copied());
        let free = aggregates.lack(backend, "aggregate", 1);
        let mut values = vec![aggregates.value(), size(limit), not_now.mark.into(), kind.into()];
        let others: Vec<&str> = not_now
            .kinds
            .iter()
            .map(String::as_str)
            .filter(|other| *other != kind)
            .collect();
        let first = if others.is_empty() {
            format!("SELECT aggregate FROM {table} WHERE type = $4 AND {free} AND id > $3 ORDER BY id LIMIT 1")
        } else {
            let others = Many::words(others);
            values.push(others.value());
            let waits = others.hold(backend, "type", 5);
            // Reads all that waits, once.
            format!(
                "SELECT aggregate FROM ( \
                    SELECT aggregate, min(id) FILTER (WHERE type = $4) AS own, min(id) FILTER (WHERE {waits}) AS other \
                    FROM {table} WHERE {free} AND id > $3 GROUP BY aggregate) AS firsts \
                 WHERE own IS NOT NULL AND (other IS NULL OR own < other) ORDER BY own LIMIT 1"
            )
        };
        let sql = format!("SELECT {COLUMNS} FROM {table} WHERE aggregate = ({first}) AND id > $3 ORDER BY id LIMIT $2");
        self.rows(sql, values).await
    }

    /// The row with this id, if it is still there.
    pub(super) async fn with_id(&self, id: i64) -> Result<Vec<row::Model>, DbErr> {
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE id = $1", self.table);
        self.rows(sql, vec![id.into()]).await
    }

    /// Deletes rows by their ids.
    pub(super) async fn delete(&self, ids: &[i64]) -> Result<(), DbErr> {
        let connection = self.database.write();
        let backend = connection.get_database_backend();
        let ids = Many::numbers(ids.iter().copied());
        let sql = format!("DELETE FROM {} WHERE {}", self.table, ids.hold(backend, "id", 1));
        let statement = Statement::from_sql_and_values(backend, sql, [ids.value()]);
        connection.execute_raw(statement).await.map(drop)
    }

    /// The transactions that hold a lock for writing to the table, each by a name that no other has; on PostgreSQL alone.
    ///
    /// A lock is held from before the first id is handed out to a transaction until what it wrote can be seen.
    pub(super) async fn writers(&self) -> Result<Vec<String>, DbErr> {
        let sql = format!(
            "SELECT virtualtransaction AS writer FROM pg_locks WHERE locktype = 'relation' AND relation = '{}'::regclass \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND mode = 'RowExclusiveLock' AND granted",
            self.table
        );
        let connection = self.database.write();
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let writers = connection.query_all_raw(statement).await?;
        writers.iter().map(|row| row.try_get("", "writer")).collect()
    }

    /// The lowest id of the rows behind `mark`.
    pub(super) async fn first_behind(&self, mark: i64) -> Result<Option<i64>, DbErr> {
        let sql = format!("SELECT min(id) AS first FROM {} WHERE id > $1", self.table);
        self.one(sql, vec![mark.into()]).await?.try_get("", "first")
    }

    /// The lowest id of all rows; slow where many deleted rows lie before it.
    pub(super) async fn first(&self) -> Result<Option<i64>, DbErr> {
        let sql = format!("SELECT min(id) AS first FROM {}", self.table);
        self.one(sql, Vec::new()).await?.try_get("", "first")
    }

    /// When the oldest row behind `mark` was written.
    pub(super) async fn oldest(&self, mark: i64) -> Result<Option<Timestamp>, DbErr> {
        let sql = format!(
            "SELECT created_at FROM {} WHERE id > $1 ORDER BY id LIMIT 1",
            self.table
        );
        let oldest = self.read_one(sql, vec![mark.into()]).await?;
        oldest.map(|row| row.try_get("", "created_at")).transpose()
    }

    /// How many rows there are, up to [`MOST_COUNTED`].
    pub(super) async fn count(&self) -> Result<u64, DbErr> {
        let sql = format!(
            "SELECT COUNT(*) AS counted FROM (SELECT 1 FROM {} LIMIT {MOST_COUNTED}) AS waiting",
            self.table
        );
        let counted: i64 = match self.read_one(sql, Vec::new()).await? {
            Some(row) => row.try_get("", "counted")?,
            None => 0,
        };
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    async fn read_one(&self, sql: String, values: Vec<Value>) -> Result<Option<QueryResult>, DbErr> {
        let connection = self.database.read();
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
        connection.query_one_raw(statement).await
    }

    async fn one(&self, sql: String, values: Vec<Value>) -> Result<QueryResult, DbErr> {
        let connection = self.database.write();
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
        let row = connection.query_one_raw(statement).await?;
        row.ok_or_else(|| DbErr::RecordNotFound("a row that is always there".to_owned()))
    }

    async fn rows(&self, sql: String, values: Vec<Value>) -> Result<Vec<row::Model>, DbErr> {
        let connection = self.database.read();
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
        row::Entity::find().from_raw_sql(statement).all(connection).await
    }
}

fn size(limit: u64) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
