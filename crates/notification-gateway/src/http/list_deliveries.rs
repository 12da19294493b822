use actix_web::web::{Data, Json};
use common::http::{PathId, Problem, ProblemDocument, kinds};

use super::page::DeliveryPage;
use super::{Person, Surface, asked};
use crate::notifications::DeliveryView;
use crate::storage::{deliveries, notifications};

/// Lists how one of the person's notifications travelled, channel by channel.
#[utoipa::path(
    get, path = "/v1/notifications/{id}/deliveries", tag = "notifications", params(("id" = Uuid, Path)),
    security(("bearer" = [])),
    responses(
        (status = 200, body = DeliveryPage),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(
    surface: Data<Surface>,
    person: Person,
    PathId(id): PathId,
) -> Result<Json<DeliveryPage>, Problem> {
    let connection = surface.database.read();
    let found = asked(notifications::find(connection, person.id, id)).await?;
    let notification = found.ok_or_else(|| Problem::new(&kinds::NOT_FOUND))?;
    let rows = asked(deliveries::of_event(
        connection,
        person.id,
        notification.source_event_id,
    ))
    .await?;
    let items = rows.into_iter().map(|row| DeliveryView::new(id, row)).collect();
    Ok(Json(DeliveryPage {
        items,
        next_cursor: None,
    }))
}
