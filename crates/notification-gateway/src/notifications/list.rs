//! `GET /v1/notifications`: a person's notifications, the newest first.

use actix_web::web::Data;
use common::database::within_deadline;
use common::http::{Answer, Caller, Found, OperationError};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::Requested;
use super::view::{NotificationView, views};
use crate::state::State;
use crate::tables::notifications::{self, Page};

/// A page of notifications, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotificationPage {
    items: Vec<NotificationView>,
    /// What to ask for the next page with; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Lists the person's notifications.
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    Requested(page): Requested,
) -> Result<Answer<Found<NotificationPage>>, OperationError> {
    let connection = state.database.read();
    // One more than asked for says whether there is a next page.
    let wider = Page {
        limit: page.limit + 1,
        ..page.clone()
    };
    let mut rows = within_deadline(notifications::list(connection, caller.user_id, &wider)).await?;
    let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.seq.to_string());
    let items = within_deadline(views(connection, caller.user_id, rows)).await?;
    Ok(Answer::found(&NotificationPage { items, next_cursor }))
}
