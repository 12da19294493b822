//! `GET /v1/notifications/{id}/deliveries`: how a notification travelled, channel by channel.

use actix_web::web::Data;
use common::database::within_deadline;
use common::http::{Answer, Caller, Found, Missing, OperationError, PathId};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::DeliveryView;
use crate::state::State;
use crate::tables::{deliveries, notifications};

/// All deliveries of a notification.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryPage {
    items: Vec<DeliveryView>,
    /// Always null: there are never more than a few.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Lists the deliveries of the notification.
pub(crate) async fn list_deliveries(
    state: Data<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Answer<Found<DeliveryPage>>, OperationError<Missing>> {
    let connection = state.database.read();
    let found = within_deadline(notifications::find(connection, caller.user_id, id)).await?;
    let row = found.ok_or(OperationError::Refused(Missing::NotFound))?;
    let of_event = deliveries::of_event(connection, caller.user_id, row.source_event_id);
    let rows = within_deadline(of_event).await?;
    Ok(Answer::found(&DeliveryPage {
        items: rows.into_iter().map(|row| DeliveryView::new(id, row)).collect(),
        next_cursor: None,
    }))
}
