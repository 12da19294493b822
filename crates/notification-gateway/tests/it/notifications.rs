use common::config::Service;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Backend, FIRST, TestApp, on_both_databases, registered};

on_both_databases!(
    a_list_goes_page_by_page_the_newest_first,
    a_notification_is_read_archived_and_counted,
    another_persons_notifications_are_not_there,
    bad_input_is_refused_by_name,
);

async fn person_with(app: &TestApp, count: usize) -> Uuid {
    let user = Uuid::now_v7();
    for _ in 0..count {
        app.publish(Service::UserApi, &registered(user, None)).await;
    }
    app.notifications(user, |items| items.len() == count).await;
    user
}

fn numbers(body: &Value) -> Vec<i64> {
    body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["seq"].as_i64().unwrap())
        .collect()
}

async fn a_list_goes_page_by_page_the_newest_first(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = person_with(&app, 5).await;
    let mut seen = vec![];
    let mut path = "/v1/notifications?limit=2".to_owned();
    loop {
        let (status, body) = app.get(user, &path).await;
        assert_eq!(status, 200);
        seen.push(numbers(&body));
        let Some(cursor) = body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/notifications?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [vec![5, 4], vec![3, 2], vec![1]]);
}

#[actix_web::test]
async fn what_is_one_person_s_is_kept_by_no_shared_cache() {
    let backend = Backend::sqlite().await;
    let app = TestApp::start(&backend).await;
    let user = person_with(&app, 1).await;
    let (_, list) = app.get(user, "/v1/notifications").await;
    let one = format!("/v1/notifications/{}", list["items"][0]["id"].as_str().unwrap());
    let deliveries = format!("{one}/deliveries");
    for path in ["/v1/notifications", "/v1/notifications/unread-count", &one, &deliveries] {
        let request = app.request(Method::GET, path).bearer_auth(FIRST.token(user, 60));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["cache-control"], "private, no-cache", "{path}");
    }
}

async fn a_notification_is_read_archived_and_counted(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = person_with(&app, 3).await;
    let (_, list) = app.get(user, "/v1/notifications").await;
    let path = format!("/v1/notifications/{}", list["items"][0]["id"].as_str().unwrap());
    let change = |state: &str| {
        let request = app.request(Method::PATCH, &path).bearer_auth(FIRST.token(user, 60));
        app.send(request.json(&json!({"state": state})))
    };
    let (status, body) = change("read").await;
    assert_eq!((status, &body["state"]), (200, &"read".into()));
    let read_at = body["read_at"].clone();
    assert!(read_at.is_string());
    let (_, body) = change("archived").await;
    assert_eq!((&body["state"], &body["read_at"]), (&"archived".into(), &read_at));
    assert_eq!(app.get(user, &path).await.1, body);
    assert_eq!(
        app.get(user, "/v1/notifications/unread-count").await,
        (200, json!({"count": 2}))
    );
    assert_eq!(
        numbers(&app.get(user, "/v1/notifications?state=unread").await.1),
        [2, 1]
    );
    assert_eq!(
        numbers(&app.get(user, "/v1/notifications?state=unread,archived").await.1),
        [3, 2, 1]
    );
    let all = app
        .request(Method::POST, "/v1/notifications/read-all")
        .bearer_auth(FIRST.token(user, 60));
    assert_eq!(app.send(all).await.0, 204);
    assert_eq!(
        app.get(user, "/v1/notifications/unread-count").await.1,
        json!({"count": 0})
    );
    assert_eq!(app.get(user, &path).await.1["state"], "archived");
    assert_eq!(change("unread").await.1["read_at"], Value::Null);
}

async fn another_persons_notifications_are_not_there(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let owner = person_with(&app, 1).await;
    let (_, list) = app.get(owner, "/v1/notifications").await;
    let path = format!("/v1/notifications/{}", list["items"][0]["id"].as_str().unwrap());
    let other = Uuid::now_v7();
    assert_eq!(app.get(other, &path).await.0, 404);
    assert_eq!(app.get(other, &format!("{path}/deliveries")).await.0, 404);
    assert_eq!(
        app.get(other, "/v1/notifications").await.1,
        json!({"items": [], "next_cursor": null})
    );
    let change = app
        .request(Method::PATCH, &path)
        .bearer_auth(FIRST.token(other, 60))
        .json(&json!({"state": "read"}));
    let (status, problem) = app.send(change).await;
    assert_eq!((status, &problem["type"]), (404, &"/problems/not-found".into()));
    assert!(
        problem["trace_id"].as_str().is_some_and(|id| id.len() == 32),
        "{problem}"
    );
    assert_eq!(app.get(owner, &path).await.1["state"], "unread");
}

async fn bad_input_is_refused_by_name(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = person_with(&app, 1).await;
    for (path, status, slug) in [
        ("/v1/notifications?limit=0", 422, "validation"),
        ("/v1/notifications?state=lost", 422, "validation"),
        ("/v1/notifications?cursor=nonsense", 400, "bad-cursor"),
        ("/v1/notifications/not-an-id", 404, "not-found"),
        ("/v1/nothing", 404, "not-found"),
        ("/v1/notifications/read-all", 405, "method-not-allowed"),
    ] {
        let (answered, problem) = app.get(user, path).await;
        assert_eq!(
            (answered, &problem["type"]),
            (status, &format!("/problems/{slug}").into()),
            "{path}"
        );
    }
    let (_, list) = app.get(user, "/v1/notifications").await;
    let path = format!("/v1/notifications/{}", list["items"][0]["id"].as_str().unwrap());
    let change = || app.request(Method::PATCH, &path).bearer_auth(FIRST.token(user, 60));
    let json = |body: &'static str| change().header("content-type", "application/json").body(body);
    assert_eq!(app.send(json("{")).await.0, 400);
    assert_eq!(app.send(json(r#"{"state": "lost"}"#)).await.0, 422);
    assert_eq!(app.send(change().body("state=read")).await.0, 415);
}
