//! `POST /v1/sessions` and the keys behind it

use std::time::Duration;

use common::{
    Timestamp,
    http::keys::{Jwks, KeySet},
};
use serde_json::Value;
use test_support::TestDatabase;
use uuid::Uuid;

use crate::test_app::{TestApp, ada};

#[tokio::test(flavor = "multi_thread")]
async fn logging_in_gives_a_token_that_the_published_keys_verify() {
    let app = TestApp::start().await;
    let user = app.sign_up(&ada()).await.json();
    let answer = app.log_in("ADA@example.com", "correct horse battery").await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    insta::assert_json_snapshot!("tokens", answer.snapshot());
    let tokens = answer.json();
    let jwks = app.get("/.well-known/jwks.json", None).await;
    assert_eq!(jwks.status, 200);
    let key = &jwks.json()["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&"OKP".into(), &"Ed25519".into(), &"EdDSA".into())
    );
    assert_eq!(key.get("d"), None, "a private key was published");
    let set: Jwks = serde_json::from_str(&jwks.text).unwrap();
    let now = Timestamp::now();
    let token = tokens["access_token"].as_str().unwrap();
    let claims = KeySet::new(&set).verify(token, now).unwrap();
    assert_eq!(claims.sub.to_string(), user["id"]);
    assert_eq!(claims.sid.unwrap().to_string(), tokens["session_id"]);
    assert!(claims.roles.is_empty());
    assert_eq!(claims.exp - claims.iat, 600);
    assert!((claims.iat - now.as_seconds()).abs() < 60);
    let session: Uuid = app.query("SELECT id FROM sessions", "id").await;
    assert_eq!(Some(session), claims.sid);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    let app = TestApp::start_embedded().await;
    app.sign_up(&ada()).await;
    let long = "x".repeat(5000);
    let cases = [
        ("ada@example.com", "wrong horse battery"),
        ("ada@example.com", ""),
        ("ada@example.com", &long),
        ("eve@example.com", "correct horse battery"),
        ("no address", "correct horse battery"),
    ];
    for (email, password) in cases {
        let answer = app.log_in(email, password).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "bad-credentials"),
            "{email}"
        );
        insta::assert_json_snapshot!("bad_credentials", answer.snapshot());
    }
    assert_eq!(app.count("sessions").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let app = TestApp::start_on(TestDatabase::sqlite(), |settings| {
        settings.store.url = "memory://".to_owned().into();
        // Dear enough to stand out of everything else that a request does.
        settings.accounts.argon2.memory_kib = 32 * 1024;
        settings.accounts.argon2.iterations = 3;
    })
    .await;
    app.sign_up(&ada()).await;
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        wrong.push(app.log_in("ada@example.com", "wrong horse battery").await.took);
        unknown.push(app.log_in("eve@example.com", "wrong horse battery").await.took);
    }
    // The quickest of each: what others do on the machine makes the rest slower, and never one quicker.
    let quickest = |times: Vec<Duration>| times.into_iter().min().unwrap();
    let (wrong, unknown) = (quickest(wrong), quickest(unknown));
    assert!(
        unknown > wrong / 2 && wrong > unknown / 2,
        "wrong {wrong:?}, unknown {unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_share_one_key() {
    let app = TestApp::start().await;
    app.execute("DELETE FROM signing_keys").await;
    let replicas = futures_util::future::join_all((0..4).map(|_| app.replica())).await;
    assert_eq!(app.count("signing_keys").await, 1);
    let (id, token) = replicas[0].ada_logged_in().await;
    for replica in &replicas {
        assert_eq!(replica.read_user(&id, &token).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_a_restart() {
    let app = TestApp::start_embedded().await;
    let (id, token) = app.ada_logged_in().await;
    assert!(app.stop().await < Duration::from_secs(10));
    let again = app.replica().await;
    let read = again.read_user(&id, &token).await;
    assert_eq!(read.status, 200);
    let user: Value = read.json();
    assert_eq!(user["email"], "Ada@example.com");
}
