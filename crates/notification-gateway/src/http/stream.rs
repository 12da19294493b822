//! `GET /v1/notifications/stream`: notifications as they come (server-sent events, HTML standard 9.2).
//!
//! A stream is a place in the person's row of numbers. It reads what comes after, writes it, and
//! waits to be told of more; the client's own pace is the only buffer, one page deep. So it sends
//! each notification once and in order, whether it was announced here, found by the poll, or
//! missed while the client was away.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, Responder};
use actix_web_lab::sse;
use common::Timestamp;
use common::database::within_deadline;
use common::http::bearer::TokenError;
use common::http::{Problem, ProblemDocument};
use futures_util::Stream;
use futures_util::stream;
use sea_orm::{ConnectionTrait, DbErr};
use serde::Deserialize;
use uuid::Uuid;

use super::person::StreamPerson;
use super::{Surface, asked};
use crate::notifications::{NotificationView, Subscription, views};
use crate::storage::notifications::{self, Page, ReadState};

/// A silent connection would be cut by what stands between; also finds out that a client has gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client comes back.
const RECONNECT: Duration = Duration::from_secs(3);
/// Rows that are read, and kept for a client, at a time.
const PAGE: u64 = 50;
/// After a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Streams the person's notifications.
///
/// Begins after `Last-Event-ID`; without it, with what is unread (the newest fifty), so that nothing falls
/// between a first look at the list and the stream. Ends with the token: come back with a new one.
#[utoipa::path(
    get, path = "/v1/notifications/stream", tag = "notifications", security(("bearer" = [])),
    params(
        ("Last-Event-ID" = Option<i64>, Header, description = "`seq` of the last notification that was received"),
        ("last_event_id" = Option<i64>, Query, description = "the same, for an `EventSource` that was made anew"),
        ("access_token" = Option<String>, Query, description = "the token, for a browser's EventSource, which can't set a header"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = NotificationView,
            description = "`event: notification`, `id:` its `seq`, `data:` the notification"),
        (status = 401, body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn handle(
    surface: Data<Surface>,
    person: StreamPerson,
    request: HttpRequest,
) -> Result<impl Responder, Problem> {
    let (user_id, ends) = (person.claims.sub, person.claims.ends());
    // A minute late is good enough for a request, but a stream would end as it begins, again and again.
    if ends <= Timestamp::now() {
        return Err(TokenError::Expired.into());
    }
    let last_event_id = last_event_id(&request);
    // First the ear, then the eye: what is committed in between is heard.
    let subscription = surface.live.subscribe(user_id);
    let seq = asked(beginning(&surface, user_id, last_event_id)).await?;
    let feed = Feed {
        only_unread: last_event_id.is_none(),
        ready: Vec::new().into_iter(),
        ends,
        surface,
        user_id,
        subscription,
        seq,
    };
    Ok(sse::Sse::from_infallible_stream(feed.into_stream())
        .with_keep_alive(KEEP_ALIVE)
        .with_retry_duration(RECONNECT))
}

/// What a browser's `EventSource` sends by itself when it comes back; one that was made anew, for a new token,
/// can only say it in the address.
fn last_event_id(request: &HttpRequest) -> Option<i64> {
    #[derive(Deserialize)]
    struct Resume {
        last_event_id: i64,
    }
    let header = request.headers().get("last-event-id");
    let from_header = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    from_header.or_else(|| {
        let query = serde_urlencoded::from_str::<Resume>(request.query_string());
        query.ok().map(|resume| resume.last_event_id)
    })
}

/// The number after which the stream begins: the client's own, or the one before the oldest of the newest unread.
async fn beginning(surface: &Surface, user_id: Uuid, last_event_id: Option<i64>) -> Result<i64, DbErr> {
    let connection = surface.database.read();
    if let Some(seq) = last_event_id {
        // A number that was never given, as after a restore, must not keep back what comes now.
        return Ok(seq.min(newest(connection, user_id).await?));
    }
    let unread = Page {
        states: vec![ReadState::Unread],
        before: None,
        limit: PAGE,
    };
    if let Some(oldest) = notifications::list(connection, user_id, &unread).await?.last() {
        return Ok(oldest.seq - 1);
    }
    newest(connection, user_id).await
}

async fn newest(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<i64, DbErr> {
    let newest = Page {
        limit: 1,
        ..Page::default()
    };
    let rows = notifications::list(connection, user_id, &newest).await?;
    Ok(rows.first().map_or(0, |row| row.seq))
}

/// One client's place.
struct Feed {
    surface: Data<Surface>,
    user_id: Uuid,
    subscription: Subscription,
    /// Number of the last notification that was read.
    seq: i64,
    /// Before the first wait, a client without `Last-Event-ID` gets what is unread only.
    only_unread: bool,
    ready: std::vec::IntoIter<NotificationView>,
    ends: Timestamp,
}

impl Feed {
    /// Ends with the service and with the token.
    fn into_stream(self) -> impl Stream<Item = sse::Event> {
        let stopping = self.surface.stopping.clone();
        let left = self.ends.since(Timestamp::now());
        let end = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(left) => {}
            }
        };
        let events = stream::unfold(self, |mut feed| async move {
            let event = feed.next().await;
            Some((event, feed))
        });
        futures_util::StreamExt::take_until(events, Box::pin(end))
    }

    async fn next(&mut self) -> sse::Event {
        loop {
            if let Some(event) = self.ready.next().as_ref().and_then(event) {
                return event;
            }
            match within_deadline(self.read()).await {
                Ok(0) => {
                    self.only_unread = false;
                    self.subscription.after(self.seq).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a stream waits for the database");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Reads the next page; answers how many rows there were.
    async fn read(&mut self) -> Result<usize, DbErr> {
        let announced = self.subscription.announced();
        let connection = self.surface.database.read();
        let mut rows = notifications::after(connection, self.user_id, self.seq, PAGE).await?;
        let count = rows.len();
        let Some(last) = rows.last().map(|row| row.seq) else {
            // What was announced before the look and is not there now does not come any more.
            self.seq = self.seq.max(announced);
            return Ok(0);
        };
        if self.only_unread {
            rows.retain(|row| row.state == ReadState::Unread);
        }
        self.ready = views(connection, self.user_id, rows).await?.into_iter();
        self.seq = last;
        Ok(count)
    }
}

fn event(notification: &NotificationView) -> Option<sse::Event> {
    let data = sse::Data::new_json(notification).ok()?;
    Some(data.id(notification.seq.to_string()).event("notification").into())
}
