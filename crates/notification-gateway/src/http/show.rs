use actix_web::web::{Data, Json};
use common::http::{PathId, Problem, ProblemDocument, kinds};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Person, Surface, asked};
use crate::notifications::{NotificationView, views};
use crate::storage::notifications::{self, Model};

/// Shows one of the person's notifications.
#[utoipa::path(
    get, path = "/v1/notifications/{id}", tag = "notifications", params(("id" = Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = NotificationView),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(
    surface: Data<Surface>,
    person: Person,
    PathId(id): PathId,
) -> Result<Json<NotificationView>, Problem> {
    let connection = surface.database.read();
    let row = asked(notifications::find(connection, person.id, id)).await?;
    answer(connection, person.id, row).await
}

/// The notification as people see it; 404 when there is none that is theirs.
pub(super) async fn answer(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    row: Option<Model>,
) -> Result<Json<NotificationView>, Problem> {
    let row = row.ok_or_else(|| Problem::new(&kinds::NOT_FOUND))?;
    let mut items = asked(views(connection, user_id, vec![row])).await?;
    items.pop().map(Json).ok_or_else(|| Problem::new(&kinds::NOT_FOUND))
}
