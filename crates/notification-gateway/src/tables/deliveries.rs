//! How a person's notifications travelled. The table is `common::dispatch`'s.

use common::Timestamp;
use common::dispatch::delivery::{Column, Entity};
use common::dispatch::{Delivery, Reason, Status};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect,
};
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

/// What a provider told of a message that it had taken.
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) reason: Reason,
    pub(crate) error: Option<String>,
}

/// One message, at whichever of these providers.
pub(crate) struct Of<'a> {
    pub(crate) providers: Vec<String>,
    pub(crate) message: &'a str,
}

impl Of<'_> {
    fn condition(&self) -> Condition {
        Condition::all()
            .add(Column::ProviderMessageId.eq(self.message))
            .add(Column::Provider.is_in(self.providers.iter().map(String::as_str)))
    }
}

/// Moves the delivery of a provider's message on; false when it has ended, is being sent right now, or is not there.
pub(crate) async fn tell(
    connection: &impl ConnectionTrait,
    of: &Of<'_>,
    told: &Told,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let from: Vec<Status> = Status::iter().filter(|status| status.may_become(told.status)).collect();
    let done = Entity::update_many()
        .col_expr(Column::Status, Expr::value(told.status))
        .col_expr(Column::Reason, Expr::value(told.reason))
        .col_expr(Column::LastError, Expr::value(told.error.clone()))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(of.condition())
        // Whoever holds the lease of a send says how it ended.
        .filter(Column::Status.is_in(from))
        .filter(Column::Status.ne(Status::Sending))
        .exec(connection)
        .await?;
    Ok(done.rows_affected > 0)
}

/// Whether a delivery has this message.
pub(crate) async fn is_there(connection: &impl ConnectionTrait, of: &Of<'_>) -> Result<bool, DbErr> {
    let found = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(of.condition())
        .into_tuple::<Uuid>()
        .one(connection)
        .await?;
    Ok(found.is_some())
}
