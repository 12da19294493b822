//! `PATCH /v1/notifications/{id}`: a person reads, archives or puts back a notification.

use actix_web::web::Data;
use common::Timestamp;
use common::http::{Answer, Caller, Found, JsonBody, Missing, OperationError, PathId};
use common::messaging::Change;
use sea_orm::DbErr;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::view::{NotificationView, view};
use crate::state::State;
use crate::tables::notifications::{self, ReadState};

/// What the person did with a notification.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct StateChange {
    state: ReadState,
}

/// Changes the state of the notification.
pub(crate) async fn change_state(
    state: Data<State>,
    caller: Caller,
    PathId(id): PathId,
    JsonBody(wanted): JsonBody<StateChange>,
) -> Result<Answer<Found<NotificationView>>, OperationError<Missing>> {
    let mut change = state.changes.begin().await?;
    let Some(shown) = mark(&mut change, (caller.user_id, id), wanted.state, Timestamp::now()).await? else {
        change.roll_back().await;
        return Err(OperationError::Refused(Missing::NotFound));
    };
    let answer = Answer::found(&shown);
    change.commit().await?;
    Ok(answer)
}

/// Gives the person's notification its new state; `None` when they have no such notification.
async fn mark(
    change: &mut Change,
    (user_id, id): (Uuid, Uuid),
    state: ReadState,
    now: Timestamp,
) -> Result<Option<NotificationView>, DbErr> {
    match notifications::set_state(change.tx(), user_id, id, state, now).await? {
        Some(row) => view(change.tx(), user_id, row).await.map(Some),
        None => Ok(None),
    }
}
