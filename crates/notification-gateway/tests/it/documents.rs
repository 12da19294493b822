use std::time::Duration;

use reqwest::Method;
use test_support::eventually;

use crate::app::{Backend, TestApp};

#[actix_web::test]
async fn the_description_the_page_and_the_problems_are_there() {
    let app = TestApp::start(&Backend::sqlite().await).await;
    let (status, document) = app.send(app.request(Method::GET, "/openapi.json")).await;
    assert_eq!((status, &document["openapi"]), (200, &"3.1.0".into()));
    for path in [
        "/v1/notifications",
        "/v1/notifications/{id}",
        "/v1/notifications/{id}/deliveries",
        "/v1/notifications/unread-count",
        "/v1/notifications/read-all",
        "/v1/notifications/stream",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    for path in [
        "/docs",
        "/docs/",
        "/docs/swagger-ui.css",
        "/docs/swagger-initializer.js",
        "/problems/bad-cursor",
    ] {
        assert_eq!(app.send(app.request(Method::GET, path)).await.0, 200, "{path}");
    }
    for path in ["/openapi.json", "/docs", "/problems/bad-cursor"] {
        let head = app.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        let post = app.request(Method::POST, path).send().await.unwrap();
        assert_eq!(
            (post.status().as_u16(), &post.headers()["allow"]),
            (405, &"GET, HEAD".parse().unwrap()),
            "{path}"
        );
    }
    let page = app
        .request(Method::GET, "/docs")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("<base href=\"docs/\">") && !page.contains("https://"),
        "{page}"
    );
    let script = app
        .request(Method::GET, "/docs/swagger-initializer.js")
        .send()
        .await
        .unwrap();
    let script = script.text().await.unwrap();
    assert!(script.contains("../openapi.json"));
    assert!(
        script.contains(r#""validatorUrl": "none""#),
        "a validator on the internet is asked: {script}"
    );
}

#[actix_web::test]
async fn a_gateway_that_has_all_it_needs_is_ready() {
    let app = TestApp::start(&Backend::sqlite().await).await;
    app.get(uuid::Uuid::now_v7(), "/v1/notifications").await;
    // On a busy machine a single look may come too late for one of them.
    let body = eventually(Duration::from_secs(20), || async {
        let (status, body) = app.readyz().await;
        (status == 200 && body["status"] == "up").then_some(body)
    })
    .await;
    for dependency in ["database", "broker", "jwks", "sms"] {
        assert_eq!(body["dependencies"][dependency], "up", "{dependency}");
    }
}
