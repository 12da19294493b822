//! `GET /v1/notifications/unread-count`: the number on the bell.

use actix_web::web::Data;
use common::database::within_deadline;
use common::http::{Answer, Caller, Found, OperationError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::State;
use crate::tables::notifications;

/// How many notifications the person has not read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadCount {
    count: u64,
}

/// Counts the person's unread notifications.
pub(crate) async fn count_unread(
    state: Data<State>,
    caller: Caller,
) -> Result<Answer<Found<UnreadCount>>, OperationError> {
    let count = within_deadline(notifications::count_unread(state.database.read(), caller.user_id)).await?;
    Ok(Answer::found(&UnreadCount { count }))
}
