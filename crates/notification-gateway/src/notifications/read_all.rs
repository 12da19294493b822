//! `POST /v1/notifications/read-all`: a person has read everything.

use actix_web::web::Data;
use common::Timestamp;
use common::http::{Answer, Caller, NoContent, OperationError};
use common::messaging::Change;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::state::State;
use crate::tables::notifications;

/// Marks all of the person's unread notifications as read.
pub(crate) async fn read_all(state: Data<State>, caller: Caller) -> Result<Answer<NoContent>, OperationError> {
    let mut change = state.changes.begin().await?;
    mark_all(&mut change, caller.user_id, Timestamp::now()).await?;
    change.commit().await?;
    Ok(Answer::no_content())
}

/// Marks what the person has not read.
async fn mark_all(change: &mut Change, user_id: Uuid, now: Timestamp) -> Result<(), DbErr> {
    notifications::mark_all_read(change.tx(), user_id, now).await
}
