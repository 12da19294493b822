//! What the service does while its tables are missing or older than it.

use test_support::{Fault, TestDatabase, eventually};

use crate::test_app::{Answer, SOON, TestApp, ada, by_proxy, migrate, settings};

/// 503 with a problem document, and nothing that looks like a defect.
fn is_unavailable(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "unavailable"),
        "{}",
        answer.text
    );
    assert!(!answer.header("retry-after").is_empty());
}

async fn is_not_ready_and_says_the_cure(app: &TestApp) {
    let readiness = app.readiness().await;
    assert_eq!(readiness.status, 503, "{}", readiness.text);
    let cure = readiness.json()["cures"]["database"].to_string();
    assert!(cure.contains("waypost migrate"), "{}", readiness.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_up_without_tables_is_not_ready_until_they_are_made() {
    let database = TestDatabase::postgres().await;
    let (away, url) = by_proxy(database.url()).await;
    away.set(Fault::Refuse).await;
    let mut settings = settings(&url, "no-tables-yet");
    settings.store.url = "memory://".to_owned().into();
    let app = TestApp::start_with(settings.clone(), Some(common::messaging::Broker::memory())).await;
    away.set(Fault::Pass).await;
    eventually(SOON, async || app.readiness().await.text.contains("waypost migrate")).await;
    is_not_ready_and_says_the_cure(&app).await;
    is_unavailable(&app.sign_up(&ada()).await);
    is_unavailable(&app.log_in("ada@example.com", "correct horse battery").await);
    migrate(&settings).await;
    eventually(SOON, async || app.readiness().await.status == 200).await;
    assert!(app.readiness().await.json().get("cures").is_none());
    app.ada_logged_in().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_older_than_the_service_are_said_and_cost_a_wait_only() {
    for app in [TestApp::start().await, TestApp::start_embedded().await] {
        let (id, token) = app.ada_logged_in().await;
        app.execute("UPDATE seaql_migrations SET version = 'x' || version")
            .await;
        app.execute("ALTER TABLE users RENAME COLUMN password_hash TO password_digest")
            .await;
        is_not_ready_and_says_the_cure(&app).await;
        is_unavailable(&app.sign_up(&ada()).await);
        is_unavailable(&app.log_in("ada@example.com", "correct horse battery").await);
        app.execute("ALTER TABLE users RENAME TO people").await;
        is_unavailable(&app.sign_up(&ada()).await);
        // A replica that has nothing in process reads from the database.
        let mut other = app.settings.clone();
        other.store.prefix.push('x');
        app.execute("UPDATE seaql_migrations SET version = substr(version, 2)")
            .await;
        let replica = TestApp::start_with(other, Some(common::messaging::Broker::memory())).await;
        eventually(SOON, async || replica.readiness().await.status == 200).await;
        is_unavailable(&replica.read_user(&id, &token).await);
        app.execute("ALTER TABLE people RENAME TO users").await;
        app.execute("ALTER TABLE users RENAME COLUMN password_digest TO password_hash")
            .await;
        eventually(SOON, async || app.readiness().await.status == 200).await;
        assert_eq!(app.log_in("ada@example.com", "correct horse battery").await.status, 201);
        assert_eq!(replica.read_user(&id, &token).await.status, 200);
    }
}
