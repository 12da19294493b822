//! What the gateway does while its tables are missing or older than it.

use std::time::Duration;

use reqwest::Method;
use sea_orm::ConnectionTrait;
use test_support::eventually;
use uuid::Uuid;

use crate::app::{Backend, FIRST, TestApp, on_both_databases};

on_both_databases!(tables_that_are_older_than_the_gateway_are_said_and_cost_a_wait_only,);

async fn tables_that_are_older_than_the_gateway_are_said_and_cost_a_wait_only(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    let inside = backend.database.unguarded();
    for statement in [
        "UPDATE seaql_migrations SET version = 'x' || version",
        "ALTER TABLE notifications RENAME COLUMN seq TO number",
    ] {
        inside.execute_unprepared(statement).await.unwrap();
    }
    let (ready, body) = app.readyz().await;
    assert_eq!(ready, 503, "{body}");
    assert!(
        body["cures"]["database"].to_string().contains("waypost migrate"),
        "{body}"
    );
    let notification = format!("/v1/notifications/{}", Uuid::now_v7());
    for (method, path) in [
        (Method::GET, "/v1/notifications"),
        (Method::GET, "/v1/notifications/stream"),
        (Method::GET, notification.as_str()),
    ] {
        let request = app.request(method, path).bearer_auth(FIRST.token(user, 60));
        let (status, problem) = app.send(request).await;
        assert_eq!(
            (status, &problem["type"]),
            (503, &"/problems/unavailable".into()),
            "{path}"
        );
    }
    for statement in [
        "ALTER TABLE notifications RENAME COLUMN number TO seq",
        "UPDATE seaql_migrations SET version = substr(version, 2)",
    ] {
        inside.execute_unprepared(statement).await.unwrap();
    }
    assert_eq!(app.get(user, "/v1/notifications").await.0, 200);
    eventually(Duration::from_secs(20), || async { app.readyz().await.0 == 200 }).await;
}
