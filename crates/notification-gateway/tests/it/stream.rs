use std::time::{Duration, Instant};

use bytes::BytesMut;
use common::config::Service;
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::app::{Backend, DEADLINE, FIRST, TestApp, on_both_databases, registered};

on_both_databases!(
    a_notification_arrives_at_once,
    a_stream_resumes_without_a_gap_and_without_a_double,
    a_browser_resumes_by_the_address_and_from_no_number_that_was_never_given,
    without_a_last_event_id_a_stream_begins_with_what_is_unread,
    what_another_replica_wrote_arrives_too,
    a_stop_ends_open_streams,
    a_stream_ends_with_its_token,
    the_eleventh_stream_of_a_person_ends_the_oldest,
);

/// A client's end of a stream.
struct Listener {
    answer: reqwest::Response,
    buffer: BytesMut,
}

/// One `event: notification`.
#[derive(Debug)]
struct Heard {
    id: i64,
    notification: Value,
}

impl Listener {
    async fn open(app: &TestApp, user: Uuid, last_event_id: Option<i64>) -> Self {
        let mut request = app
            .request(Method::GET, "/v1/notifications/stream")
            .bearer_auth(FIRST.token(user, 60));
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        Self::send(request).await
    }

    async fn send(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["x-accel-buffering"], "no");
        assert_eq!(headers.get("content-encoding"), None);
        Self {
            answer,
            buffer: BytesMut::new(),
        }
    }

    /// The next notification; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Heard> {
        tokio::time::timeout(DEADLINE, self.read())
            .await
            .expect("a stream that is silent for too long")
    }

    async fn read(&mut self) -> Option<Heard> {
        loop {
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            if let Some((block, rest)) = text.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                        .map(str::trim)
                };
                let heard = field("event").map(|event| {
                    assert_eq!(event, "notification");
                    Heard {
                        id: field("id").unwrap().parse().unwrap(),
                        notification: serde_json::from_str(field("data").unwrap()).unwrap(),
                    }
                });
                self.buffer = BytesMut::from(rest.as_bytes());
                if heard.is_some() {
                    return heard;
                }
                continue;
            }
            self.buffer.extend_from_slice(&self.answer.chunk().await.ok()??);
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<i64> {
        let mut ids = vec![];
        while ids.len() < count {
            ids.push(self.next().await.unwrap().id);
        }
        ids
    }
}

async fn tell(app: &TestApp, user: Uuid, times: usize) {
    for _ in 0..times {
        app.publish(Service::UserApi, &registered(user, None)).await;
    }
}

async fn a_notification_arrives_at_once(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    let mut listener = Listener::open(&app, user, None).await;
    let mut other = Listener::open(&app, Uuid::now_v7(), None).await;
    let token = FIRST.token(user, 60);
    let query = format!("/v1/notifications/stream?access_token={token}&last_event_id=0");
    let mut browser = Listener::send(app.request(Method::GET, &query)).await;
    let began = Instant::now();
    tell(&app, user, 1).await;
    for listener in [&mut listener, &mut browser] {
        let heard = listener.next().await.unwrap();
        assert_eq!((heard.id, &heard.notification["seq"]), (1, &1.into()));
        assert_eq!(heard.notification["channels"]["in_app"], "delivered");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let silence = tokio::time::timeout(Duration::from_millis(200), other.read()).await;
    assert!(silence.is_err(), "somebody else hears nothing");
}

async fn a_stream_resumes_without_a_gap_and_without_a_double(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    tell(&app, user, 60).await;
    let mut listener = Listener::open(&app, user, Some(0)).await;
    let mut heard = listener.ids(20).await;
    drop(listener);
    tell(&app, user, 20).await;
    // While the rest is read, more is written.
    let mut listener = Listener::open(&app, user, heard.last().copied()).await;
    let (rest, ()) = tokio::join!(listener.ids(90), tell(&app, user, 30));
    heard.extend(rest);
    assert_eq!(heard, (1..=110).collect::<Vec<_>>());
}

async fn a_browser_resumes_by_the_address_and_from_no_number_that_was_never_given(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    tell(&app, user, 3).await;
    let resumed = async |last_event_id: &str| {
        let token = FIRST.token(user, 60);
        let query = format!("/v1/notifications/stream?access_token={token}&last_event_id={last_event_id}");
        Listener::send(app.request(Method::GET, &query)).await
    };
    assert_eq!(resumed("2").await.ids(1).await, [3]);
    // As after a restore of an older copy of the database.
    let mut ahead = resumed("1000").await;
    tell(&app, user, 1).await;
    assert_eq!(ahead.ids(1).await, [4]);
}

async fn without_a_last_event_id_a_stream_begins_with_what_is_unread(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    tell(&app, user, 4).await;
    let items = app.notifications(user, |items| items.len() == 4).await;
    for item in [&items[0], &items[2]] {
        let path = format!("/v1/notifications/{}", item["id"].as_str().unwrap());
        let read = app.request(Method::PATCH, &path).bearer_auth(FIRST.token(user, 60));
        assert_eq!(app.send(read.json(&serde_json::json!({"state": "read"}))).await.0, 200);
    }
    let mut listener = Listener::open(&app, user, None).await;
    assert_eq!(listener.ids(2).await, [1, 3]);
    tell(&app, user, 1).await;
    assert_eq!(listener.ids(1).await, [5]);
}

async fn what_another_replica_wrote_arrives_too(backend: Backend) {
    let here = TestApp::start(&backend).await;
    let there = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    let mut listener = Listener::open(&here, user, None).await;
    tell(&there, user, 3).await;
    tell(&here, user, 1).await;
    assert_eq!(listener.ids(4).await, [1, 2, 3, 4]);
}

async fn a_stop_ends_open_streams(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let mut listener = Listener::open(&app, Uuid::now_v7(), None).await;
    let began = Instant::now();
    app.tasks.shut_down(Duration::from_secs(8)).await.unwrap();
    assert!(listener.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

async fn a_stream_ends_with_its_token(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    let short = app
        .request(Method::GET, "/v1/notifications/stream")
        .bearer_auth(FIRST.token(user, 2));
    let mut listener = Listener::send(short).await;
    assert!(listener.next().await.is_none());
}

/// Chunks came with HTTP/1.1: an older client would take their lengths for a part of the stream.
#[actix_web::test]
async fn a_client_of_http_1_0_gets_a_stream_without_chunks_that_ends_with_its_connection() {
    let backend = Backend::sqlite().await;
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    tell(&app, user, 1).await;
    let token = FIRST.token(user, 60);
    let request = format!("GET /v1/notifications/stream HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n");
    let mut client = TcpStream::connect(app.running.http_address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("event: notification") {
        let read = tokio::time::timeout(DEADLINE, client.read_buf(&mut heard)).await;
        assert!(read.unwrap().unwrap() > 0, "{}", String::from_utf8_lossy(&heard));
    }
    app.tasks.shut_down(Duration::from_secs(8)).await.unwrap();
    let ended = tokio::time::timeout(DEADLINE, client.read_to_end(&mut heard)).await;
    ended.unwrap().unwrap();
    let heard = String::from_utf8(heard).unwrap();
    let (head, stream) = heard.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.0 200"), "{head}");
    assert!(
        !head.contains("transfer-encoding") && !head.contains("keep-alive"),
        "{head}"
    );
    for line in stream.lines() {
        let (field, _) = line.split_once(':').unwrap_or((line, ""));
        assert!(
            ["", "event", "id", "data", "retry"].contains(&field),
            "{line:?} in {stream}"
        );
    }
}

async fn the_eleventh_stream_of_a_person_ends_the_oldest(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let (user, other) = (Uuid::now_v7(), Uuid::now_v7());
    let mut others = Listener::open(&app, other, None).await;
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(Listener::open(&app, user, None).await);
    }
    for ended in &mut open[..2] {
        assert!(ended.next().await.is_none());
    }
    tell(&app, user, 1).await;
    for listener in &mut open[2..] {
        listener.next().await.unwrap();
    }
    // Whoever comes back goes on where they were, and nobody else's stream was meant.
    let mut back = Listener::open(&app, user, Some(0)).await;
    assert_eq!(back.ids(1).await, [1]);
    tell(&app, other, 1).await;
    others.next().await.unwrap();
}
