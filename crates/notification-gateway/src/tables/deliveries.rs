//! How a person's notifications travelled. The table is `common::dispatch`'s.

use common::dispatch::delivery::{Column, Entity};
use common::dispatch::{Delivery, Status};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

/// The deliveries that one event asked for, to one person.
pub(crate) async fn of_event(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    source_event_id: Uuid,
) -> Result<Vec<Delivery>, DbErr> {
    Entity::find()
        .filter(Column::SourceEventId.eq(source_event_id))
        .filter(Column::Recipient.eq(user_id.to_string()))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// Event, channel and status of every delivery that these events asked for, to one person.
pub(crate) async fn channels(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    source_event_ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, String, Status)>, DbErr> {
    if source_event_ids.is_empty() {
        return Ok(Vec::new());
    }
    Entity::find()
        .select_only()
        .columns([Column::SourceEventId, Column::Channel, Column::Status])
        .filter(Column::SourceEventId.is_in(source_event_ids))
        .filter(Column::Recipient.eq(user_id.to_string()))
        .into_tuple()
        .all(connection)
        .await
}
