//! Table `sessions`: one row a log-in.

use common::Timestamp;
use common::database::skip_locked;
use sea_orm::{
    ActiveModelBehavior, ConnectionTrait, DbErr, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, IntoActiveModel, PrimaryKeyTrait, Statement,
};
use uuid::Uuid;

/// One log-in on one device.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    /// What the client calls itself.
    pub(crate) device: Option<String>,
    /// Where the log-in came from, as far as that can be believed.
    pub(crate) address: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
}

impl std::fmt::Debug for Model {
    /// Where somebody logs in from is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("sessions::Model")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) async fn insert(db: &impl ConnectionTrait, session: Model) -> Result<(), DbErr> {
    Entity::insert(session.into_active_model())
        .exec_without_returning(db)
        .await
        .map(|_| ())
}

/// Deletes sessions that nobody has used since `before`, `most` at the most; says how many.
pub(crate) async fn delete_unused(db: &impl ConnectionTrait, before: Timestamp, most: u64) -> Result<u64, DbErr> {
    let backend = db.get_database_backend();
    let lock = skip_locked(backend);
    let sql = format!(
        "WITH chosen AS MATERIALIZED ( \
            SELECT id FROM sessions WHERE last_seen_at < $1 ORDER BY last_seen_at LIMIT $2 {lock}) \
         DELETE FROM sessions WHERE id IN (SELECT id FROM chosen)"
    );
    let values = [
        before.as_micros().into(),
        i64::try_from(most).unwrap_or(i64::MAX).into(),
    ];
    let delete = Statement::from_sql_and_values(backend, sql, values);
    let deleted = db.execute_raw(delete).await?;
    Ok(deleted.rows_affected())
}
