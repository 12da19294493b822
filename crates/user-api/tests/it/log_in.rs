//! `POST /v1/sessions` and the keys behind it

use std::time::Duration;

use common::{
    Timestamp,
    http::keys::{Jwks, KeySet},
};
use serde_json::Value;
use test_support::{TestDatabase, eventually};
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
        settings.own.accounts.argon2.memory_kib = 32 * 1024;
        settings.own.accounts.argon2.iterations = 3;
    })
    .await;
    app.sign_up(&ada()).await;
    a_refusal_does_not_tell_who_has_an_account(&app).await;
}

/// Of Ada, who has one, and of somebody who has none.
async fn a_refusal_does_not_tell_who_has_an_account(app: &TestApp) {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_the_same_in_either_form_of_unicode() {
    let app = TestApp::start_embedded().await;
    let mut person = ada();
    person["password"] = "stro\u{308}m\u{a0}lein".into();
    assert_eq!(app.sign_up(&person).await.status, 201);
    for typed in ["stro\u{308}m\u{a0}lein", "str\u{f6}m lein"] {
        assert_eq!(app.log_in("ada@example.com", typed).await.status, 201, "{typed}");
    }
    assert_eq!(app.log_in("ada@example.com", "strom lein").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_active_account_is_logged_in() {
    let app = TestApp::start_embedded().await;
    app.sign_up(&ada()).await;
    for status in ["suspended", "deleting"] {
        app.execute(&format!("UPDATE users SET status = '{status}'")).await;
        let answer = app.log_in("ada@example.com", "correct horse battery").await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "bad-credentials"),
            "{status}"
        );
    }
    app.execute("UPDATE users SET status = 'active'").await;
    assert_eq!(app.log_in("ada@example.com", "correct horse battery").await.status, 201);
}

/// A hash that was made before the settings were changed: cheap, where today's take long enough to be told apart.
#[tokio::test(flavor = "multi_thread")]
async fn once_the_cost_has_changed_refusals_take_as_long_and_a_log_in_renews_the_hash() {
    let cheap = TestApp::start_on(TestDatabase::sqlite(), |settings| {
        settings.store.url = "memory://".to_owned().into();
    })
    .await;
    cheap.sign_up(&ada()).await;
    let dear = cheap
        .replica_with(|settings| {
            settings.own.accounts.argon2.memory_kib = 32 * 1024;
            settings.own.accounts.argon2.iterations = 3;
        })
        .await;
    a_refusal_does_not_tell_who_has_an_account(&dear).await;

    assert_eq!(
        dear.log_in("ada@example.com", "correct horse battery").await.status,
        201
    );
    let hash: String = dear.query("SELECT password_hash FROM users", "password_hash").await;
    assert!(hash.starts_with("$argon2id$v=19$m=32768,t=3,"), "{hash}");
    assert_eq!(
        dear.log_in("ada@example.com", "correct horse battery").await.status,
        201
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_replica_is_found_and_a_retired_one_is_good_for_nothing() {
    let app = TestApp::start_embedded().await;
    let (id, old) = app.ada_logged_in().await;
    app.execute("UPDATE signing_keys SET retired_at = created_at").await;
    // It finds no key in use, and makes one.
    let replica = app.replica().await;
    let new = replica.log_in("ada@example.com", "correct horse battery").await.json();
    let new = new["access_token"].as_str().unwrap();
    eventually(Duration::from_secs(20), async || {
        app.read_user(&id, new).await.status == 200
    })
    .await;
    for app in [&app, &replica] {
        assert_eq!(app.read_user(&id, &old).await.status, 401);
    }
}
