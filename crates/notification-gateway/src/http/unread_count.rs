use actix_web::web::{Data, Json};
use common::http::{Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Person, Surface, asked};
use crate::storage::notifications;

/// How many notifications the person has not read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnreadCount {
    count: u64,
}

/// Counts the person's unread notifications.
#[utoipa::path(
    get, path = "/v1/notifications/unread-count", tag = "notifications", security(("bearer" = [])),
    responses(
        (status = 200, body = UnreadCount),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(surface: Data<Surface>, person: Person) -> Result<Json<UnreadCount>, Problem> {
    let count = asked(notifications::count_unread(surface.database.read(), person.id)).await?;
    Ok(Json(UnreadCount { count }))
}
