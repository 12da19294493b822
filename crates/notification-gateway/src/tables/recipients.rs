//! Whom the gateway writes to: its own copy of each person, which events keep up to date.

use common::Timestamp;
use common::database::Many;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue, Statement};

#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "recipients")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) user_id: Uuid,
    pub(crate) version: i64,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) locale: String,
    pub(crate) phone: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) status: String,
    pub(crate) last_seq: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    /// Personal data stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipient")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Model {
    /// Somebody who reads English and has no phone.
    pub(crate) fn ada() -> Self {
        let at = Timestamp::from_micros(0);
        Self {
            user_id: Uuid::nil(),
            version: 1,
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            locale: "en".to_owned(),
            phone: None,
            time_zone: None,
            status: "active".to_owned(),
            last_seq: 0,
            created_at: at,
            updated_at: at,
        }
    }
}

/// Takes over what an event says of a person, unless something newer is known; either way the row
/// is locked until the transaction ends. Answers with the newer of the two.
pub(crate) async fn upsert(tx: &impl ConnectionTrait, recipient: Model) -> Result<Model, DbErr> {
    let (user_id, version) = (recipient.user_id, recipient.version);
    let mut row = ActiveModel::from(recipient.clone());
    row.last_seq = ActiveValue::Set(0);
    let newer = OnConflict::column(Column::UserId)
        .update_columns([
            Column::Version,
            Column::Email,
            Column::Name,
            Column::Locale,
            Column::Phone,
            Column::TimeZone,
            Column::Status,
            Column::UpdatedAt,
        ])
        .action_and_where(Expr::col((Entity, Column::Version)).lt(version))
        .to_owned();
    let written = Entity::insert(row)
        .on_conflict(newer)
        .exec_without_returning(tx)
        .await?;
    if written > 0 {
        return Ok(recipient);
    }
    let newer = Entity::find_by_id(user_id).filter(Column::Version.gt(version));
    Ok(newer.one(tx).await?.unwrap_or(recipient))
}

/// A person, by their id.
pub(crate) async fn find(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user_id).one(connection).await
}

/// Takes the person's next notification number, under the row's lock.
pub(crate) async fn next_seq(tx: &impl ConnectionTrait, user_id: Uuid) -> Result<i64, DbErr> {
    let rows = Entity::update_many()
        .col_expr(Column::LastSeq, Expr::col(Column::LastSeq).add(1))
        .filter(Column::UserId.eq(user_id))
        .exec_with_returning(tx)
        .await?;
    rows.first()
        .map(|row| row.last_seq)
        .ok_or_else(|| DbErr::RecordNotFound("recipient".to_owned()))
}

/// The newest notification number of each of these people.
pub(crate) async fn last_seqs(
    connection: &impl ConnectionTrait,
    user_ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, i64)>, DbErr> {
    let backend = connection.get_database_backend();
    let user_ids = Many::ids(user_ids);
    let among = user_ids.hold(backend, "user_id", 1);
    let sql = format!("SELECT user_id, last_seq FROM recipients WHERE {among}");
    let statement = Statement::from_sql_and_values(backend, sql, [user_ids.value()]);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "user_id")?, row.try_get("", "last_seq")?)))
        .collect()
}
