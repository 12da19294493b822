use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use common::http::{Problem, ProblemDocument};

use super::page::{ListQuery, NotificationPage, parse};
use super::{Person, Surface, asked};
use crate::notifications::views;
use crate::storage::notifications::{self, Page};

/// Lists the person's notifications, the newest first.
#[utoipa::path(
    get, path = "/v1/notifications", tag = "notifications", params(ListQuery), security(("bearer" = [])),
    responses(
        (status = 200, body = NotificationPage),
        (status = 400, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(
    surface: Data<Surface>,
    person: Person,
    request: HttpRequest,
) -> Result<Json<NotificationPage>, Problem> {
    let page = parse(&request)?;
    let connection = surface.database.read();
    // One more than asked for says whether there is a next page.
    let wider = Page {
        limit: page.limit + 1,
        ..page.clone()
    };
    let mut rows = asked(notifications::list(connection, person.id, &wider)).await?;
    let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.seq.to_string());
    let items = asked(views(connection, person.id, rows)).await?;
    Ok(Json(NotificationPage { items, next_cursor }))
}
