//! `GET /v1/notifications/{id}`: one of a person's notifications.

use actix_web::web::Data;
use common::database::within_deadline;
use common::http::{Answer, Caller, Found, Missing, OperationError, PathId};

use super::view::{NotificationView, view};
use crate::state::State;
use crate::tables::notifications;

/// Shows the notification.
pub(crate) async fn show(
    state: Data<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Answer<Found<NotificationView>>, OperationError<Missing>> {
    let connection = state.database.read();
    let found = within_deadline(notifications::find(connection, caller.user_id, id)).await?;
    let row = found.ok_or(OperationError::Refused(Missing::NotFound))?;
    let shown = within_deadline(view(connection, caller.user_id, row)).await?;
    Ok(Answer::found(&shown))
}
