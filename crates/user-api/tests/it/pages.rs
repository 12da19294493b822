//! What explains the API: its description, the page to browse it, a page for each problem.

use common::config::Profile;
use serde_json::json;
use test_support::TestDatabase;

use crate::test_app::{TestApp, ada};

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_openapi_3_1_and_names_every_operation() {
    let app = TestApp::start_embedded().await;
    let answer = app.get("/openapi.json", None).await;
    assert_eq!(answer.status, 200);
    let description = answer.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let operations: Vec<String> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{method} {path}"))
        })
        .collect();
    insta::assert_json_snapshot!("operations", operations);
    insta::assert_json_snapshot!(
        "user_schema",
        description["components"]["schemas"]["User"]["properties"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let app = TestApp::start_embedded().await;
    let page = app.get("/docs", None).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui") && page.text.contains("<base href=\"docs/\">"));
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let start = app.get("/docs/swagger-initializer.js", None).await;
    assert_eq!(start.status, 200);
    assert!(start.text.contains("../openapi.json"));
    for text in [&page.text, &start.text] {
        assert!(!text.contains("https://") && !text.contains("http://"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_has_a_head_and_takes_no_other_method() {
    let app = TestApp::start_embedded().await;
    let (id, token) = app.ada_logged_in().await;
    let account = format!("/v1/users/{id}");
    for (path, allow) in [
        ("/v1/users/me", "GET, HEAD"),
        (&account, "GET, HEAD, PATCH"),
        ("/.well-known/jwks.json", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/problems/validation", "GET, HEAD"),
    ] {
        let url = app.url(path);
        let got = app.get(path, Some(&token)).await;
        let head = app.send(|client| client.head(&url).bearer_auth(&token)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), got.text.len().to_string(), "{path}");
        let posted = app.send(|client| client.post(&url).bearer_auth(&token)).await;
        assert_eq!((posted.status, posted.header("allow")), (405, allow), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_has_its_page() {
    let app = TestApp::start_embedded().await;
    for slug in [
        "email-taken",
        "bad-credentials",
        "validation",
        "precondition-failed",
        "precondition-required",
        "unavailable",
        "overloaded",
    ] {
        let page = app.get(&format!("/problems/{slug}"), None).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(slug));
    }
    assert_eq!(app.get("/problems/none-such", None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_takes_a_path_off_every_link_leads_back_through_it() {
    let app = TestApp::start_on(TestDatabase::sqlite(), |settings| {
        settings.store.url = "memory://".to_owned().into();
        settings.http.public_url = "https://example.org/accounts/".to_owned();
    })
    .await;
    let answer = app.sign_up(&ada()).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), format!("/accounts/v1/users/{id}"));
    let refused = app.get("/v1/users/me", None).await.json();
    assert_eq!(
        (&refused["type"], &refused["instance"]),
        (
            &json!("/accounts/problems/unauthorized"),
            &json!("/accounts/v1/users/me")
        )
    );
    let description = app.get("/openapi.json", None).await.json();
    assert_eq!(description["servers"][0]["url"], "https://example.org/accounts");
    // The page stands on paths from where it is itself.
    for path in ["/docs/", "/docs/index.html"] {
        assert!(app.get(path, None).await.text.contains("<base href=\"./\">"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_an_answer_took_is_told_outside_of_production() {
    for (profile, is_told) in [(Profile::Test, true), (Profile::Production, false)] {
        let app = TestApp::start_on(TestDatabase::sqlite(), |settings| {
            settings.store.url = "memory://".to_owned().into();
            settings.profile = profile;
        })
        .await;
        let answer = app.get("/v1/users/me", None).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.header("server-timing").starts_with("app;dur="),
            is_told,
            "{profile:?}"
        );
    }
}
