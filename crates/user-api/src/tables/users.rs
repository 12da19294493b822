//! Table `users`.

use common::Timestamp;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, ConnectionTrait, DbErr, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, IntoActiveModel, PrimaryKeyTrait, QueryFilter, QuerySelect, SqlErr,
};
use serde_json::Value as Json;
use tracing::Instrument;
use uuid::Uuid;

use super::statement::statement;

/// One account.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) email: String,
    #[sea_orm(unique)]
    pub(crate) email_key: String,
    pub(crate) name: String,
    pub(crate) locale: String,
    pub(crate) phone: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) status: String,
    pub(crate) email_verified: bool,
    pub(crate) roles: Json,
    pub(crate) password_hash: String,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl std::fmt::Debug for Model {
    /// Personal data and the password's hash stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("users::Model")
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Why a user was not inserted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsertError {
    #[error("the address belongs to another account")]
    EmailTaken,
    #[error("the user could not be written")]
    Database(#[source] DbErr),
}

/// What logging in needs of a user.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user_id: Uuid,
    pub(crate) password_hash: String,
    pub(crate) roles: Json,
}

pub(crate) async fn insert(tx: &impl ConnectionTrait, user: Model) -> Result<(), InsertError> {
    let span = statement(tx, "INSERT", "users");
    let insert = Entity::insert(user.into_active_model());
    match insert.exec_without_returning(tx).instrument(span).await {
        Ok(_) => Ok(()),
        // The id is made here, so the one unique key that can break is the address.
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            Err(InsertError::EmailTaken)
        }
        Err(error) => Err(InsertError::Database(error)),
    }
}

pub(crate) async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    let span = statement(db, "SELECT", "users");
    Entity::find_by_id(id).one(db).instrument(span).await
}

/// Looks up by the lower-case form of an address.
pub(crate) async fn find_credentials(db: &impl ConnectionTrait, email_key: &str) -> Result<Option<Credentials>, DbErr> {
    let span = statement(db, "SELECT", "users");
    let row: Option<(Uuid, String, Json)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::PasswordHash, Column::Roles])
        .filter(Column::EmailKey.eq(email_key))
        .into_tuple()
        .one(db)
        .instrument(span)
        .await?;
    Ok(row.map(|(user_id, password_hash, roles)| Credentials {
        user_id,
        password_hash,
        roles,
    }))
}
