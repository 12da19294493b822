//! `GET /v1/users/{id}` and `GET /v1/users/me`

use common::http::claims::Claims;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use test_support::eventually;
use uuid::Uuid;

use crate::test_app::{SOON, TestApp, ada, tag};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_their_own_account_by_id_and_as_me() {
    let app = TestApp::start().await;
    let (id, token) = app.ada_logged_in().await;
    let by_id = app.read_user(&id, &token).await;
    assert_eq!(by_id.status, 200, "{}", by_id.text);
    insta::assert_json_snapshot!("signed_up", by_id.snapshot());
    assert_eq!(by_id.header("etag"), tag(&id, 1));
    assert_eq!(by_id.header("content-type"), "application/json");
    assert!(by_id.header("cache-control").contains("private"));
    let as_me = app.get("/v1/users/me", Some(&token)).await;
    assert_eq!((as_me.status, as_me.json()), (200, by_id.json()));
    let upper_case = app.read_user(&id.to_uppercase(), &token).await;
    assert_eq!(upper_case.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_says_which_layer_gave_it() {
    let app = TestApp::start().await;
    let (id, token) = app.ada_logged_in().await;
    // Written through: another replica finds it in Redis at once, and then has it in process.
    let replica = app.replica().await;
    let first = replica.read_user(&id, &token).await;
    let status = first.header("cache-status");
    assert!(status.starts_with("waypost-redis; hit; ttl="), "{status}");
    for app in [&app, &replica] {
        let from_here = async || {
            let read = app.read_user(&id, &token).await;
            read.header("cache-status").starts_with("waypost-l1; hit; ttl=")
        };
        eventually(SOON, from_here).await;
    }
    // One that shares the database alone has to ask it.
    let mut settings = app.settings.clone();
    settings.store.prefix = Uuid::now_v7().to_string();
    let apart = TestApp::start_with(settings, Some(common::messaging::Broker::memory())).await;
    let read = eventually(SOON, async || {
        let read = apart.read_user(&id, &token).await;
        (read.status == 200).then_some(read)
    })
    .await;
    assert_eq!(read.header("cache-status"), "waypost-redis; fwd=miss");
    assert_eq!(read.text, first.text);
    let metrics = apart.metrics().await;
    assert!(metrics.contains("layer=\"database\",outcome=\"hit\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_entry_in_redis_has_its_name_and_an_end() {
    let app = TestApp::start().await;
    let (id, _) = app.ada_logged_in().await;
    let redis = common::store::Store::connect(
        &app.settings,
        &common::process::Tasks::new(common::config::Service::UserApi),
        &common::telemetry::Metrics::new(common::config::Service::UserApi),
    )
    .unwrap();
    assert!(redis.connected(SOON).await);
    let entry = eventually(SOON, async || redis.get_versioned(&format!("user:{id}")).await.ok()?).await;
    assert_eq!(entry.version, 1);
    let text = String::from_utf8(entry.value.unwrap().to_vec()).unwrap();
    assert!(text.ends_with('}') && text.contains(&id), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_client_has_is_not_sent_again() {
    let app = TestApp::start_embedded().await;
    let (id, token) = app.ada_logged_in().await;
    let current = tag(&id, 1);
    for etag in [
        &current,
        &format!("W/{current}"),
        &format!("\"7\", {current}"),
        &"*".to_owned(),
    ] {
        let answer = app.read_user_unless(&id, &token, etag).await;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{etag}");
        assert_eq!(answer.header("etag"), current);
        assert!(!answer.header("cache-status").is_empty());
    }
    // Another version, no tag at all, and the first version of somebody else whose account the client had before.
    let somebody = Uuid::now_v7().to_string();
    for etag in [&tag(&id, 2), "nonsense", &tag(&somebody, 1)] {
        assert_eq!(app.read_user_unless(&id, &token, etag).await.status, 200, "{etag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_somebody_else() {
    let app = TestApp::start_embedded().await;
    let (_, token) = app.ada_logged_in().await;
    let mut bob = ada();
    bob["email"] = "bob@example.com".into();
    let bob = app.sign_up(&bob).await.json()["id"].as_str().unwrap().to_owned();
    let nobody = Uuid::now_v7().to_string();
    // Whether the account exists makes no difference.
    for id in [&bob, &nobody] {
        let answer = app.read_user(id, &token).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"));
        insta::assert_json_snapshot!("forbidden", answer.snapshot());
    }
    let answer = app.read_user("not-an-id", &token).await;
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_there_is_no_answer() {
    let app = TestApp::start_embedded().await;
    let (id, token) = app.ada_logged_in().await;
    let path = format!("/v1/users/{id}");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other_start = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{head}.{other_start}{}", &signature[1..]);
    let forged = forged(&id);
    for token in [
        None,
        Some(""),
        Some("nonsense"),
        Some(changed.as_str()),
        Some(forged.as_str()),
    ] {
        let answer = app.get(&path, token).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "unauthorized"),
            "{token:?}"
        );
        let is_shown = token.is_some_and(|token| !token.is_empty());
        let challenge = if is_shown {
            "Bearer error=\"invalid_token\""
        } else {
            "Bearer"
        };
        assert_eq!(answer.header("www-authenticate"), challenge, "{token:?}");
    }
    let basic = app
        .send(|client| client.get(app.url(&path)).basic_auth("ada", Some("x")))
        .await;
    assert_eq!(basic.status, 401);
}

/// A token that says the right things, signed with a shared secret instead of a key.
fn forged(id: &str) -> String {
    let claims = Claims {
        iss: "waypost".to_owned(),
        aud: "waypost".to_owned(),
        sub: id.parse().unwrap(),
        sid: Some(Uuid::now_v7()),
        scope: None,
        roles: vec!["admin".to_owned()],
        iat: 0,
        exp: 4_000_000_000,
    };
    let key = EncodingKey::from_secret(b"secret");
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}
