use actix_web::HttpResponse;
use actix_web::web::Data;
use common::Timestamp;
use common::http::{Problem, ProblemDocument};

use super::{Person, Surface, database_problem};
use crate::storage::notifications;

/// Marks all of the person's unread notifications as read.
#[utoipa::path(
    post, path = "/v1/notifications/read-all", tag = "notifications", security(("bearer" = [])),
    responses(
        (status = 204),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(surface: Data<Surface>, person: Person) -> Result<HttpResponse, Problem> {
    notifications::mark_all_read(surface.database.write(), person.id, Timestamp::now())
        .await
        .map_err(|error| database_problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}
