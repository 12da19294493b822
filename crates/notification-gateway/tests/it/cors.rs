//! What a browser is told about pages of other origins: by a list, and by the stream.

use common::config::Origins;
use reqwest::Method;
use uuid::Uuid;

use crate::app::{Backend, FIRST, TestApp};

const PAGE: &str = "https://app.example.com";
const STRANGER: &str = "https://evil.example.com";
const STREAM: &str = "/v1/notifications/stream";
const LIST: &str = "/v1/notifications";

async fn app() -> (TestApp, Backend) {
    let mut backend = Backend::sqlite().await;
    backend.settings.http.allowed_origins = Origins::parse(PAGE).unwrap();
    (TestApp::start(&backend).await, backend)
}

#[actix_web::test]
async fn a_page_whose_origin_is_named_may_read_lists_and_the_stream() {
    let (app, _kept) = app().await;
    for path in [LIST, STREAM] {
        let preflight = app
            .request(Method::OPTIONS, path)
            .header("origin", PAGE)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization,last-event-id");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.status(), 204, "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE, "{path}");
        let headers = answer.headers()["access-control-allow-headers"].to_str().unwrap();
        assert!(
            headers.contains("Authorization") && headers.contains("Last-Event-ID"),
            "{headers}"
        );

        // With a token, and without one.
        let asked = || app.request(Method::GET, path).header("origin", PAGE);
        let token = FIRST.token(Uuid::now_v7(), 60);
        for (request, status) in [(asked().bearer_auth(token), 200), (asked(), 401)] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            let headers = answer.headers();
            assert_eq!(headers["access-control-allow-origin"], PAGE, "{path}");
            assert!(!headers.contains_key("access-control-allow-credentials"), "{path}");
            let vary: Vec<_> = headers.get_all("vary").iter().collect();
            assert!(vary.iter().any(|named| *named == "Origin"), "{path}: {vary:?}");
            let readable = headers["access-control-expose-headers"].to_str().unwrap();
            assert!(readable.contains("Retry-After"), "{readable}");
        }
    }
}

#[actix_web::test]
async fn any_other_page_may_read_neither() {
    let (app, _kept) = app().await;
    let token = FIRST.token(Uuid::now_v7(), 60);
    for path in [LIST, STREAM] {
        let request = app.request(Method::GET, path).header("origin", STRANGER);
        let answer = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{path}");
    }
}
