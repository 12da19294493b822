//! Rate limits as a caller meets them: headers, 429, whose requests are counted together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::{Algorithm, Networks, RateLimit};
use reqwest::RequestBuilder;
use serde_json::json;
use test_support::TestDatabase;
use user_api::Settings;

use crate::test_app::{Answer, TestApp, ada, on_both};

/// So rarely that none comes back while a test runs.
const fn few(burst: u32) -> RateLimit {
    RateLimit {
        rate: 1.0,
        burst,
        algorithm: Algorithm::TokenBucket,
    }
}

/// On PostgreSQL and Redis, with other limits than usual.
async fn app(change: impl FnOnce(&mut Settings)) -> TestApp {
    TestApp::start_on(TestDatabase::postgres().await, change).await
}

/// A log-in of nobody, which counts all the same, with more headers.
async fn log_in(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"email": "nobody@example.com", "password": "correct horse battery"});
    let with = |request: RequestBuilder| {
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
    };
    app.send(|client| with(client.post(app.url("/v1/sessions")).json(&body)))
        .await
}

on_both!(answers_tell_of_the_limit);

async fn answers_tell_of_the_limit(app: TestApp) {
    let (id, token) = app.ada_logged_in().await;
    let answer = app.read_user(&id, &token).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"read\";q=1000000;w=1");
    assert!(
        answer.header("ratelimit").starts_with("\"read\";r="),
        "{}",
        answer.header("ratelimit")
    );
    // Problems and documents tell of theirs.
    let missing = app.get("/v1/nothing", None).await;
    assert_eq!(
        (missing.status, missing.header("ratelimit-policy")),
        (404, "\"public\";q=1000000;w=1")
    );
    let refused = app.log_in("ada@example.com", "wrong horse battery").await;
    assert_eq!(
        (refused.status, refused.header("ratelimit-policy")),
        (401, "\"login\";q=1000000;w=1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_too_much_is_told_when_to_come_back_and_others_read_on() {
    let app = app(|settings| settings.limits.read = few(3)).await;
    let (id, token) = app.ada_logged_in().await;
    for left in ["\"read\";r=2;", "\"read\";r=1;", "\"read\";r=0;"] {
        let answer = app.read_user(&id, &token).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.header("ratelimit").starts_with(left),
            "{}",
            answer.header("ratelimit")
        );
        assert_eq!(answer.header("ratelimit-policy"), "\"read\";q=3;w=180");
    }
    let refused = app.read_user(&id, &token).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "rate-limited"));
    let retry_after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((30..=60).contains(&retry_after), "{retry_after}");
    assert_eq!(refused.header("ratelimit"), format!("\"read\";r=0;t={retry_after}"));
    assert!(
        app.get("/problems/rate-limited", None)
            .await
            .text
            .contains("Retry-After")
    );

    // Changes are another class, and others have limits of their own.
    let changed = app.change_user((&id, &token), "*", &json!({"name": "Ada"})).await;
    assert_eq!(changed.status, 200);
    let mut bob = ada();
    bob["email"] = json!("bob@example.com");
    assert_eq!(app.sign_up(&bob).await.status, 201);
    let logged_in = app.log_in("bob@example.com", "correct horse battery").await;
    let bobs = logged_in.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(app.get("/v1/users/me", Some(&bobs)).await.status, 200);

    // Neither readiness nor metrics are ever refused, and the refusal is counted.
    assert_eq!(app.readiness().await.status, 200);
    let counted = "class=\"read\",algorithm=\"token_bucket\",outcome=\"refused\"} 1";
    assert!(app.metrics().await.contains(counted));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_a_limit() {
    let app = app(|settings| settings.limits.read = few(4)).await;
    let (id, token) = app.ada_logged_in().await;
    let replica = app.replica().await;
    let mut answered = Vec::new();
    for n in 0..10 {
        let at = if n % 2 == 0 { &app } else { &replica };
        answered.push(at.read_user(&id, &token).await.status);
    }
    assert_eq!(
        answered.iter().filter(|status| **status == 200).count(),
        4,
        "{answered:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_who_connects_whatever_the_headers_say() {
    let app = app(|settings| settings.limits.login = few(2)).await;
    for n in 0..4 {
        let address = format!("198.51.100.{n}");
        let forwarded = format!("for={address}");
        let headers = [
            ("x-forwarded-for", address.as_str()),
            ("forwarded", &forwarded),
            ("x-real-ip", &address),
        ];
        let answer = log_in(&app, &headers).await;
        assert_eq!(answer.status, if n < 2 { 401 } else { 429 }, "{}", answer.text);
    }
    // Sign-ups are another class.
    assert_eq!(app.sign_up(&ada()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_address_that_it_saw_counts_and_nothing_left_of_it() {
    let app = app(|settings| {
        settings.limits.login = few(2);
        settings.http.trusted_proxies = Networks::parse("127.0.0.0/8").unwrap();
    })
    .await;
    // What the caller wrote itself stands on the left, and changes.
    for (written, status) in [("1.1.1.1", 401), ("2.2.2.2", 401), ("3.3.3.3", 429), ("127.0.0.1", 429)] {
        let list = format!("{written}, 198.51.100.7");
        let answer = log_in(&app, &[("x-forwarded-for", &list)]).await;
        assert_eq!(answer.status, status, "{list}");
    }
    let other = log_in(&app, &[("forwarded", "for=\"[2001:db8::1]:4711\"")]).await;
    assert_eq!(other.status, 401);
    // Another address of the same network.
    assert_eq!(
        log_in(&app, &[("forwarded", "for=\"[2001:db8::2]\"")]).await.status,
        401
    );
    assert_eq!(log_in(&app, &[("x-forwarded-for", "2001:db8::3")]).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_the_address_that_a_proxy_of_ours_saw() {
    let app = app(|settings| settings.http.trusted_proxies = Networks::parse("127.0.0.0/8").unwrap()).await;
    app.sign_up(&ada()).await;
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    let logged_in = app
        .send(|client| {
            let request = client.post(app.url("/v1/sessions")).json(&body);
            request.header("x-forwarded-for", "1.1.1.1, 198.51.100.7")
        })
        .await;
    assert_eq!(logged_in.status, 201, "{}", logged_in.text);
    let address: String = app.query("SELECT address FROM sessions", "address").await;
    assert_eq!(address, "198.51.100.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_can_t_be_guessed_without_end_and_none_is_just_refused() {
    let app = app(|settings| {
        settings.limits.public = few(5);
        settings.limits.read = few(3);
    })
    .await;
    let (_, token) = app.ada_logged_in().await;
    assert_eq!(app.get("/v1/users/me", Some(&token)).await.status, 200);
    for _ in 0..10 {
        assert_eq!(app.get("/v1/users/me", None).await.status, 401);
    }
    let mut statuses = Vec::new();
    for n in 0..8 {
        statuses.push(app.get("/v1/users/me", Some(&format!("{token}{n}"))).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    // One that was found good before still counts for its person alone.
    assert_eq!(app.get("/v1/users/me", Some(&token)).await.status, 200);
    // One that was never seen would have to be verified: not for a source that has guessed so often.
    let logged_in = app.log_in("ada@example.com", "correct horse battery").await;
    let new = logged_in.json()["access_token"].as_str().unwrap().to_owned();
    let refused = app.get("/v1/users/me", Some(&new)).await;
    assert_eq!(
        (refused.status, refused.header("ratelimit-policy")),
        (429, "\"public\";q=5;w=300")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaky_bucket_makes_requests_wait_for_their_turn() {
    let app = app(|settings| {
        settings.limits.read = RateLimit {
            rate: 1_200.0,
            burst: 4,
            algorithm: Algorithm::LeakyBucket,
        };
    })
    .await;
    let (id, token) = app.ada_logged_in().await;
    let answers = futures_util::future::join_all((0..12).map(|_| app.read_user(&id, &token))).await;
    let passed: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| answer.took)
        .collect();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    println!("{} passed after {passed:?}, {refused} were refused", passed.len());
    assert_eq!(passed.len() + refused, 12);
    assert!(passed.len() >= 5, "one and four that wait: {passed:?}");
    let none_waited = "class=\"read\",algorithm=\"leaky_bucket\",outcome=\"delayed\"} 0";
    assert!(!app.metrics().await.contains(none_waited));
}

/// One person at fifty times their limit beside twenty who keep it, over three replicas.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_asks_fifty_times_too_much_gets_the_limit_and_costs_the_others_nothing() {
    const SECONDS: u32 = 5;
    let limit = RateLimit {
        rate: 300.0,
        burst: 30,
        algorithm: Algorithm::TokenBucket,
    };
    let app = app(|settings| settings.limits.read = limit).await;
    let replicas = [app.replica().await, app.replica().await, app];
    let mut tokens = Vec::new();
    for n in 0..21 {
        let email = format!("person{n}@example.com");
        let mut person = ada();
        person["email"] = json!(email);
        assert_eq!(replicas[0].sign_up(&person).await.status, 201);
        let logged_in = replicas[0].log_in(&email, "correct horse battery").await;
        tokens.push(logged_in.json()["access_token"].as_str().unwrap().to_owned());
    }
    let (replicas, tokens) = (Arc::new(replicas), Arc::new(tokens));
    let alone = normal(&replicas, &tokens, SECONDS).await;
    let began = Instant::now();
    let (beside, abuser) = tokio::join!(
        normal(&replicas, &tokens, SECONDS),
        abuse(&replicas, &tokens[20], SECONDS)
    );
    let most = 30.0 + began.elapsed().as_secs_f64() * 5.0;
    let p99 = |mut answers: Vec<(u16, Duration)>| {
        answers.sort_by_key(|(_, took)| *took);
        answers[answers.len() * 99 / 100].1
    };
    let passed = abuser.iter().filter(|status| **status == 200).count();
    println!(
        "the abuser asked {} times, {passed} passed, of {most:.0} at most",
        abuser.len()
    );
    println!(
        "the others' p99: {:?} alone, {:?} beside it",
        p99(alone.clone()),
        p99(beside.clone())
    );
    assert!(
        u32::try_from(passed).is_ok_and(|passed| f64::from(passed) <= most),
        "{passed} of {most}"
    );
    assert!(passed >= 30 && abuser.iter().all(|status| [200, 429].contains(status)));
    for (status, _) in alone.into_iter().chain(beside) {
        assert_eq!(status, 200, "somebody who kept the limit was refused");
    }
}

/// Twenty people who each read four times a second, from replica to replica.
async fn normal(replicas: &[TestApp; 3], tokens: &[String], seconds: u32) -> Vec<(u16, Duration)> {
    let began = Instant::now();
    let people = tokens.iter().take(20).enumerate().map(|(person, token)| async move {
        let mut answers = Vec::new();
        for n in 0..4 * seconds {
            let due =
                began + Duration::from_millis(250) * n + Duration::from_millis(12) * u32::try_from(person).unwrap();
            tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
            let answer = replicas[(person + n as usize) % 3]
                .get("/v1/users/me", Some(token))
                .await;
            answers.push((answer.status, answer.took));
        }
        answers
    });
    futures_util::future::join_all(people).await.concat()
}

/// Two hundred and fifty requests a second.
async fn abuse(replicas: &[TestApp; 3], token: &str, seconds: u32) -> Vec<u16> {
    let began = Instant::now();
    let asks = (0..250 * seconds).map(|n| async move {
        let due = began + Duration::from_millis(4) * n;
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        replicas[n as usize % 3].get("/v1/users/me", Some(token)).await.status
    });
    futures_util::future::join_all(asks).await
}
