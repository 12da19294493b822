//! Rate limits of the gateway: what a stream counts for.

use common::config::{Algorithm, RateLimit};
use reqwest::Method;
use uuid::Uuid;

use crate::app::{Backend, FIRST, TestApp};

#[actix_web::test]
async fn the_start_of_a_stream_counts_as_one_read_and_nothing_after_it() {
    let mut backend = Backend::sqlite().await;
    backend.settings.limits.read = RateLimit {
        rate: 1.0,
        burst: 3,
        algorithm: Algorithm::TokenBucket,
    };
    let app = TestApp::start(&backend).await;
    let (user, other) = (Uuid::now_v7(), Uuid::now_v7());
    let by_query = format!("/v1/notifications/stream?access_token={}", FIRST.token(user, 60));
    let by_header = app.request(Method::GET, "/v1/notifications/stream");
    let first = by_header.bearer_auth(FIRST.token(user, 60)).send().await.unwrap();
    let second = app.request(Method::GET, &by_query).send().await.unwrap();
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    assert_eq!(second.headers()["ratelimit-policy"], "\"read\";q=3;w=180");

    assert_eq!(app.get(user, "/v1/notifications").await.0, 200);
    let (status, problem) = app.get(user, "/v1/notifications").await;
    assert_eq!((status, &problem["type"]), (429, &"/problems/rate-limited".into()));
    let third = app.request(Method::GET, &by_query).send().await.unwrap();
    assert_eq!(third.status(), 429);
    assert_eq!(app.get(other, "/v1/notifications").await.0, 200);
}
