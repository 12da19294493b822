//! What a server that hangs does to people.

use std::time::{Duration, Instant};

use reqwest::Method;
use test_support::PrivatePostgres;
use uuid::Uuid;

use crate::app::{Backend, DEADLINE, FIRST, TestApp};

/// The deadline of 2.5 s, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(10);

#[actix_web::test]
async fn a_database_that_hangs_hangs_nobody() {
    let postgres = PrivatePostgres::start().await;
    let app = TestApp::start(&Backend::breakable(&postgres).await).await;
    let user = Uuid::now_v7();
    assert_eq!(app.get(user, "/v1/notifications").await.0, 200);
    postgres.freeze();
    let notification = format!("/v1/notifications/{}", Uuid::now_v7());
    for (method, path) in [
        (Method::GET, "/v1/notifications"),
        (Method::GET, "/v1/notifications/unread-count"),
        (Method::GET, "/v1/notifications/stream"),
        (Method::POST, "/v1/notifications/read-all"),
        (Method::GET, notification.as_str()),
    ] {
        let began = Instant::now();
        let request = app.request(method, path).bearer_auth(FIRST.token(user, 600));
        let (status, problem) = app.send(request).await;
        assert_eq!(
            (status, &problem["type"]),
            (503, &"/problems/unavailable".into()),
            "{path}"
        );
        assert!(began.elapsed() < SOON, "{path}: {:?}", began.elapsed());
    }
    postgres.thaw();
    let deadline = Instant::now() + DEADLINE;
    while app.get(user, "/v1/notifications").await.0 != 200 {
        assert!(Instant::now() < deadline, "it did not find back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
