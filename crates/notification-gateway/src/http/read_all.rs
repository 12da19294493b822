use actix_web::HttpResponse;
use actix_web::web::Data;
use common::Timestamp;
use common::http::{Problem, ProblemDocument};

use super::{Person, Surface, asked};
use crate::storage::notifications;

/// Marks all of the person's unread notifications as read.
#[utoipa::path(
    post, path = "/v1/notifications/read-all", tag = "notifications", security(("bearer" = [])),
    responses(
        (status = 204),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(surface: Data<Surface>, person: Person) -> Result<HttpResponse, Problem> {
    asked(notifications::mark_all_read(
        surface.database.write(),
        person.id,
        Timestamp::now(),
    ))
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
