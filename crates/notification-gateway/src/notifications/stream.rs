//! `GET /v1/notifications/stream`: notifications as they come (server-sent events, HTML standard 9.2).
//!
//! A stream is a place in the person's row of numbers. It reads what comes after, writes it, and
//! waits to be told of more; the client's own pace is the only buffer, one page deep. So it sends
//! each notification once and in order, whether it was announced here, found by the poll, or
//! missed while the client was away.
//!
//! It begins after `Last-Event-ID`; without it, with what is unread (the newest fifty), so that nothing falls
//! between a first look at the list and the stream. It ends with the token: come back with a new one.

use std::time::Duration;

use actix_web::web::Data;
use actix_web_lab::sse;
use common::Timestamp;
use common::database::within_deadline;
use common::http::claims::TokenError;
use common::http::{OperationError, Problem, Refusal, StreamCaller, kinds};
use futures_util::{Stream, stream as streams};
use sea_orm::{ConnectionTrait, DbErr};
use strum::EnumIter;
use uuid::Uuid;

use super::event_stream::{EventStream, Resume};
use super::view::{NotificationView, views};
use crate::live::Subscription;
use crate::state::State;
use crate::tables::notifications::{self, Page, ReadState};

/// Rows that are read, and kept for a client, at a time.
const PAGE: u64 = 50;
/// After this a stream that nobody reads may be gone, so that a new one has room.
const COME_BACK: Duration = Duration::from_secs(15);
/// Pause after a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Why no stream was opened.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(crate) enum StreamRefusal {
    /// A request may come with a token that expired less than a minute ago. A stream may not: it would end as it begins.
    TokenExpired,
    /// Streams that were told to end still take all the room, since nobody reads them.
    TooMany,
}

impl Refusal for StreamRefusal {
    fn problem(&self) -> Problem {
        match self {
            Self::TokenExpired => TokenError::Expired.into(),
            Self::TooMany => Problem::new(&kinds::RATE_LIMITED)
                .detail("Streams of yours that are not read take all the room: close them first.")
                .retry_after(COME_BACK),
        }
    }
}

/// Streams the person's notifications.
pub(crate) async fn stream(
    state: Data<State>,
    caller: StreamCaller,
    Resume(last_event_id): Resume,
) -> Result<EventStream<impl Stream<Item = sse::Event>>, OperationError<StreamRefusal>> {
    let StreamCaller { user_id, ends } = caller;
    if ends <= Timestamp::now() {
        return Err(OperationError::Refused(StreamRefusal::TokenExpired));
    }
    // Subscribe before the first read, so that no commit falls between them.
    let subscription = state
        .live
        .subscribe(user_id)
        .ok_or(OperationError::Refused(StreamRefusal::TooMany))?;
    let seq = within_deadline(beginning(&state, user_id, last_event_id)).await?;
    state.live.end_the_oldest(user_id);
    let feed = Feed {
        only_unread: last_event_id.is_none(),
        ready: Vec::new().into_iter(),
        ends,
        state,
        user_id,
        subscription,
        seq,
    };
    Ok(EventStream(feed.into_stream()))
}

/// The number after which the stream begins: the client's own, or the one before the oldest of the newest unread.
async fn beginning(state: &State, user_id: Uuid, last_event_id: Option<i64>) -> Result<i64, DbErr> {
    let connection = state.database.read();
    if let Some(seq) = last_event_id {
        // After a restore a client may name a number that was not given yet. It must not keep back what comes now.
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
    state: Data<State>,
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
    /// Ends with the service, with the token, and for the sake of a younger stream where the person has too many.
    fn into_stream(self) -> impl Stream<Item = sse::Event> {
        let stopping = self.state.stopping.clone();
        let left = self.ends.since(Timestamp::now());
        let ended = self.subscription.ended();
        let end = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = ended => {}
                () = tokio::time::sleep(left) => {}
            }
        };
        let events = streams::unfold(self, |mut feed| async move {
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
        let connection = self.state.database.read();
        let mut rows = notifications::after(connection, self.user_id, self.seq, PAGE).await?;
        let count = rows.len();
        let Some(last) = rows.last().map(|row| row.seq) else {
            // A number that was announced before this look, and that it does not find, will not come any more.
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
