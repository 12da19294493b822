//! Table `signing_keys`: what access tokens are signed with.

use common::Timestamp;
use sea_orm::{
    ActiveModelBehavior, ColumnTrait, ConnectionTrait, DbErr, DeriveEntityModel, DerivePrimaryKey, DeriveRelation,
    EntityTrait, EnumIter, IntoActiveModel, PrimaryKeyTrait, QueryFilter, QueryOrder,
};

/// One Ed25519 key pair; its id is the thumbprint of the public key (RFC 7638).
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    /// PKCS #8, DER.
    pub(crate) private_key: Vec<u8>,
    /// The 32 bytes of the public key.
    pub(crate) public_key: Vec<u8>,
    pub(crate) created_at: Timestamp,
    pub(crate) retired_at: Option<Timestamp>,
}

impl std::fmt::Debug for Model {
    /// The private key stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("signing_keys::Model")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The keys in use, the newest first. All of them verify; the newest that was published for long enough signs.
pub(crate) async fn in_use(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::RetiredAt.is_null())
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .all(db)
        .await
}

pub(crate) async fn insert(db: &impl ConnectionTrait, key: Model) -> Result<(), DbErr> {
    Entity::insert(key.into_active_model())
        .exec_without_returning(db)
        .await
        .map(|_| ())
}

/// Lets one process at a time look for keys and make one. The lock ends with the transaction.
///
/// On SQLite a write transaction is exclusive already.
pub(crate) async fn lock_for_making(tx: &impl ConnectionTrait) -> Result<(), DbErr> {
    if tx.get_database_backend() == sea_orm::DbBackend::Postgres {
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.signing_keys', 0))";
        tx.execute_unprepared(lock).await?;
    }
    Ok(())
}
