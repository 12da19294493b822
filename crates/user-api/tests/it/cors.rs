//! What a browser is told about pages of other origins.

use common::config::{Algorithm, Origins, RateLimit};
use reqwest::Method;
use test_support::TestDatabase;

use crate::test_app::{Answer, TestApp, ada};

const PAGE: &str = "https://app.example.com";
const STRANGER: &str = "https://evil.example.com";

async fn app(origins: &str) -> TestApp {
    let origins = Origins::parse(origins).unwrap();
    TestApp::start_on(TestDatabase::sqlite(), |settings| {
        settings.http.allowed_origins = origins;
        settings.limits.login = RateLimit {
            rate: 1.0,
            burst: 1,
            algorithm: Algorithm::TokenBucket,
        };
    })
    .await
}

async fn ask(app: &TestApp, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.send(|client| {
        let request = client.request(method, app.url(path)).json(&ada());
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
    })
    .await
}

async fn preflight(app: &TestApp, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "authorization,if-match"),
    ];
    ask(app, Method::OPTIONS, "/v1/users/me", &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_origin_is_named_may_ask_and_read() {
    let app = app(&format!("http://localhost:3000, {PAGE}")).await;
    let answer = preflight(&app, PAGE).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    let headers = answer.header("access-control-allow-headers").to_ascii_lowercase();
    for asked in [
        "authorization",
        "content-encoding",
        "content-type",
        "if-match",
        "last-event-id",
        "traceparent",
    ] {
        assert!(headers.contains(asked), "{headers}");
    }
    assert_eq!(
        (answer.header("access-control-max-age"), answer.header("vary")),
        ("7200", "Origin")
    );

    // Whatever comes of a request, the page can read it.
    for (method, path, status) in [
        (Method::POST, "/v1/users", 201),
        (Method::GET, "/v1/users/me", 401),
        (Method::GET, "/v1/nothing", 404),
        (Method::PUT, "/v1/users", 405),
        (Method::POST, "/v1/sessions", 201),
        (Method::POST, "/v1/sessions", 429),
    ] {
        let answer = ask(&app, method, path, &[("origin", PAGE)]).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE, "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert!(answer.header("vary").contains("Origin"), "{path}");
        let readable = answer.header("access-control-expose-headers");
        for name in ["ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy"] {
            assert!(readable.contains(name), "{readable}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_page_is_told_nothing() {
    let some = app(PAGE).await;
    for origin in [
        STRANGER,
        "null",
        "http://app.example.com",
        "https://app.example.com.evil.example",
    ] {
        for answer in [
            preflight(&some, origin).await,
            ask(&some, Method::GET, "/v1/users/me", &[("origin", origin)]).await,
        ] {
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
            assert_eq!(answer.header("vary"), "Origin");
        }
    }
    let none = app("").await;
    let answer = preflight(&none, PAGE).await;
    assert_eq!((answer.status, answer.header("allow")), (204, "GET, HEAD"));
    assert_eq!(
        (answer.header("access-control-allow-origin"), answer.header("vary")),
        ("", "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_origins_may_be_meant_and_never_with_credentials() {
    let app = app("*").await;
    let answer = preflight(&app, STRANGER).await;
    assert_eq!(answer.header("access-control-allow-origin"), STRANGER);
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}
