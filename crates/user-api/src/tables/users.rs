//! Table `users`: one row an account.

use common::Timestamp;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, ConnectionTrait, DbErr, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, IntoActiveModel, PrimaryKeyTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, SqlErr,
    sea_query::{Expr, InsertStatement, LockType},
};
use serde_json::Value as Json;
use uuid::Uuid;

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

/// The status of an account that may be used.
pub(crate) const ACTIVE: &str = "active";

/// What logging in needs of a user.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user_id: Uuid,
    /// Neither suspended nor about to be deleted.
    pub(crate) is_active: bool,
    pub(crate) password_hash: String,
    pub(crate) roles: Json,
}

/// The statement by which an account is made.
pub(crate) fn insertion(user: Model) -> InsertStatement {
    Entity::insert(user.into_active_model()).into_query()
}

/// Whether an account was not made because its address belongs to another one. The id is made by this service, so the only
/// unique key that can break is the address.
pub(crate) fn is_email_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

pub(crate) async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// Finds an account and keeps it as it is until the transaction ends; on SQLite the transaction has the write lock.
///
/// Log-ins go on meanwhile: a session refers to the account's key, which no change touches.
pub(crate) async fn find_locked(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    let found = Entity::find_by_id(id).lock(LockType::NoKeyUpdate);
    found.one(tx).await
}

/// Writes what the person changed. `row.version` is the version in the table plus one.
///
/// Fails with `RecordNotUpdated` when another version is in the table, which can't be while the row is locked.
pub(crate) async fn update(tx: &impl ConnectionTrait, row: &Model) -> Result<(), DbErr> {
    let update = Entity::update_many()
        .col_expr(Column::Name, Expr::value(row.name.as_str()))
        .col_expr(Column::Locale, Expr::value(row.locale.as_str()))
        .col_expr(Column::Phone, Expr::value(row.phone.as_deref()))
        .col_expr(Column::TimeZone, Expr::value(row.time_zone.as_deref()))
        .col_expr(Column::Version, Expr::value(row.version))
        .col_expr(Column::UpdatedAt, Expr::value(row.updated_at))
        .filter(Column::Id.eq(row.id))
        .filter(Column::Version.eq(row.version - 1));
    match update.exec(tx).await?.rows_affected {
        1 => Ok(()),
        _ => Err(DbErr::RecordNotUpdated),
    }
}

/// Looks an account up by the lower-case form of its address.
pub(crate) async fn find_credentials(db: &impl ConnectionTrait, email_key: &str) -> Result<Option<Credentials>, DbErr> {
    let row: Option<(Uuid, String, String, Json)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Status, Column::PasswordHash, Column::Roles])
        .filter(Column::EmailKey.eq(email_key))
        .into_tuple()
        .one(db)
        .await?;
    Ok(row.map(|(user_id, status, password_hash, roles)| Credentials {
        user_id,
        is_active: status == ACTIVE,
        password_hash,
        roles,
    }))
}

/// The account with this id; if there is none, that with this address (in its lower-case form); if there is none, those
/// with this phone number, ten at most, the newest first.
pub(crate) async fn find_by_any(
    db: &impl ConnectionTrait,
    id: Option<Uuid>,
    (email_key, phone): (&str, &str),
) -> Result<Vec<Model>, DbErr> {
    const MOST: u64 = 10;
    let mut found = Vec::new();
    // One statement for each way: with an `OR` the database would use no index.
    let ways = [
        id.map(|id| Column::Id.eq(id)),
        Some(Column::EmailKey.eq(email_key)),
        Some(Column::Phone.eq(phone)),
    ];
    for way in ways.into_iter().flatten() {
        let rows = Entity::find().filter(way).order_by_desc(Column::Id).limit(MOST);
        found = rows.all(db).await?;
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// Replaces a hash by another one of the same password, unless the password was changed meanwhile.
pub(crate) async fn renew_hash(tx: &impl ConnectionTrait, known: &Credentials, renewed: &str) -> Result<(), DbErr> {
    let update = Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(renewed))
        .filter(Column::Id.eq(known.user_id))
        .filter(Column::PasswordHash.eq(known.password_hash.as_str()));
    update.exec(tx).await.map(|_| ())
}

/// The hashes of the oldest accounts, `most` at most. Those that no log-in has renewed for longest are among them.
pub(crate) async fn oldest_hashes(db: &impl ConnectionTrait, most: u64) -> Result<Vec<String>, DbErr> {
    let oldest = Entity::find()
        .select_only()
        .column(Column::PasswordHash)
        .order_by_asc(Column::Id)
        .limit(most);
    oldest.into_tuple().all(db).await
}
