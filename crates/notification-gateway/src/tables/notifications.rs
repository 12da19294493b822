//! What people were told in the product itself.

use common::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, DeriveActiveEnum, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the person did with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case", try_from = "String")]
pub(crate) enum ReadState {
    Unread,
    Read,
    Archived,
}

impl ReadState {
    /// Every state.
    pub(crate) const ALL: [Self; 3] = [Self::Unread, Self::Read, Self::Archived];

    /// The state that a word names.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "unread" => Some(Self::Unread),
            "read" => Some(Self::Read),
            "archived" => Some(Self::Archived),
            _ => None,
        }
    }
}

/// Through text: a derived reader would take `{"read": null}` for a state as well.
impl TryFrom<String> for ReadState {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        Self::parse(&word).ok_or("no such state")
    }
}

#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) source_event_id: Uuid,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) data: Json,
    pub(crate) state: ReadState,
    pub(crate) read_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    /// Its text may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notification")
            .field("id", &self.id)
            .field("seq", &self.seq)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Which notifications of a person a list has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// In one of these states; empty: in any.
    pub(crate) states: Vec<ReadState>,
    /// Older than this number.
    pub(crate) before: Option<i64>,
    pub(crate) limit: u64,
}

pub(crate) async fn exists(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    source_event_id: Uuid,
    kind: &str,
) -> Result<bool, DbErr> {
    let found = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::SourceEventId.eq(source_event_id))
        .filter(Column::Kind.eq(kind))
        .one(tx)
        .await?;
    Ok(found.is_some())
}

pub(crate) async fn insert(tx: &impl ConnectionTrait, notification: Model) -> Result<(), DbErr> {
    Entity::insert(ActiveModel::from(notification))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// A person's notifications, the newest first.
pub(crate) async fn list(connection: &impl ConnectionTrait, user_id: Uuid, page: &Page) -> Result<Vec<Model>, DbErr> {
    let mut query = Entity::find().filter(Column::UserId.eq(user_id));
    if !page.states.is_empty() {
        query = query.filter(Column::State.is_in(page.states.clone()));
    }
    if let Some(before) = page.before {
        query = query.filter(Column::Seq.lt(before));
    }
    query.order_by_desc(Column::Seq).limit(page.limit).all(connection).await
}

/// A person's notifications after number `seq`, in order.
pub(crate) async fn after(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    seq: i64,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Seq.gt(seq))
        .order_by_asc(Column::Seq)
        .limit(limit)
        .all(connection)
        .await
}

/// One notification, when it is this person's.
pub(crate) async fn find(connection: &impl ConnectionTrait, user_id: Uuid, id: Uuid) -> Result<Option<Model>, DbErr> {
    of_person(user_id, id).one(connection).await
}

fn of_person(user_id: Uuid, id: Uuid) -> Select<Entity> {
    Entity::find_by_id(id).filter(Column::UserId.eq(user_id))
}

pub(crate) async fn count_unread(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::State.eq(ReadState::Unread))
        .count(connection)
        .await
}

/// Writes what the person did with a notification; `None` when there is none of theirs with this id.
pub(crate) async fn set_state(
    tx: &impl ConnectionTrait,
    user_id: Uuid,
    id: Uuid,
    state: ReadState,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    // Of two changes at once the second sees what the first one left.
    let current = of_person(user_id, id).lock_exclusive().one(tx).await?;
    let Some(current) = current else { return Ok(None) };
    if current.state == state {
        return Ok(Some(current));
    }
    let read_at = match state {
        ReadState::Unread => None,
        ReadState::Read => current.read_at.or(Some(now)),
        ReadState::Archived => current.read_at,
    };
    let mut row = ActiveModel::from(current);
    row.state = ActiveValue::Set(state);
    row.read_at = ActiveValue::Set(read_at);
    row.updated_at = ActiveValue::Set(now);
    row.update(tx).await.map(Some)
}

pub(crate) async fn mark_all_read(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(ReadState::Read))
        .col_expr(Column::ReadAt, Expr::value(now))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::State.eq(ReadState::Unread))
        .exec(connection)
        .await?;
    Ok(())
}
