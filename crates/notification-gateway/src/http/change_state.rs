use actix_web::web::{Data, Json};
use common::Timestamp;
use common::http::{JsonBody, PathId, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::answer;
use super::{Person, Surface, asked};
use crate::notifications::NotificationView;
use crate::storage::notifications::{self, ReadState};

/// What the person did with a notification.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct StateChange {
    state: ReadState,
}

/// Marks one of the person's notifications as unread, read or archived.
#[utoipa::path(
    patch, path = "/v1/notifications/{id}", tag = "notifications", params(("id" = Uuid, Path)),
    request_body = StateChange, security(("bearer" = [])),
    responses(
        (status = 200, body = NotificationView),
        (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(
    surface: Data<Surface>,
    person: Person,
    PathId(id): PathId,
    JsonBody(change): JsonBody<StateChange>,
) -> Result<Json<NotificationView>, Problem> {
    let changing = async {
        let tx = surface.database.begin().await?;
        let row = notifications::set_state(&tx, person.id, id, change.state, Timestamp::now()).await?;
        tx.commit().await?;
        Ok(row)
    };
    let row = asked(changing).await?;
    answer(surface.database.read(), person.id, row).await
}
