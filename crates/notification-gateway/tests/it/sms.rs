use std::time::{Duration, Instant};

use common::config::Service;
use serde_json::Value;
use test_support::eventually;
use uuid::Uuid;

use crate::app::{Backend, DEADLINE, TestApp, on_both_databases, registered};
use crate::provider::Mood;

const PHONE: &str = "+15550123";

on_both_databases!(
    the_provider_gets_the_form_that_it_knows,
    a_refusal_is_final_and_says_why,
    a_wish_to_be_called_later_is_obeyed,
    one_number_that_has_enough_holds_nobody_up,
    a_gateway_that_does_not_know_may_ask_to_be_called_later,
    a_failure_that_passes_is_tried_again_until_it_works,
    a_refusal_of_our_own_account_waits_until_it_is_put_right,
    an_answer_that_is_not_the_providers_is_no_success,
    a_provider_that_is_out_is_left_alone_and_costs_no_attempt,
    an_sms_that_waits_for_its_turn_is_handed_back_at_a_stop_without_an_attempt,
);

async fn the_provider_gets_the_form_that_it_knows(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let delivery = app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!(
        (&delivery["provider"], &delivery["reason"]),
        (&"sms".into(), &"accepted".into())
    );
    assert_eq!(
        (&delivery["attempts"], &delivery["next_attempt_at"]),
        (&1.into(), &Value::Null)
    );
    let calls = app.provider.calls();
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!(call.path, "/2010-04-01/Accounts/AC-development/Messages.json");
    assert_eq!(
        call.header("authorization"),
        "Basic QUMtZGV2ZWxvcG1lbnQ6ZGV2ZWxvcG1lbnQ="
    );
    assert_eq!(call.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!((call.field("To"), call.field("From")), (PHONE, "+15550000"));
    assert_eq!(call.field("Body"), "Welcome, Ada. Your account is ready.");
    assert_eq!(call.header("idempotency-key"), delivery["id"].as_str().unwrap());
    assert_eq!(call.header("traceparent").len(), 55);
    // Of the two effects one is in the product: nobody waits for it but for its event's intake.
    let is_counted = |line: &str| {
        line.starts_with("waypost_critical_time_seconds_count{")
            && line.contains("type=\"sms\"")
            && line.ends_with(" 1")
    };
    eventually(DEADLINE, async || app.metrics().await.lines().any(is_counted)).await;
}

async fn a_refusal_is_final_and_says_why(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let document = r#"{"code": 21211, "message": "The 'To' number +15550123 is not valid"}"#;
    app.provider.is(Mood::Answers(400, None, document));
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let delivery = app
        .delivery(user, "sms", |delivery| delivery["status"] == "failed")
        .await;
    assert_eq!(delivery["reason"], "rejected");
    assert_eq!(delivery["last_error"], "it was refused for good");
    // The provider's words may hold the number.
    assert_eq!(backend.sms_error(user).await, "HTTP 400, code 21211");
    assert_eq!(app.provider.calls().len(), 1);
    let items = app.notifications(user, |items| items.len() == 1).await;
    assert_eq!(items[0]["channels"]["sms"], "failed");
}

async fn a_wish_to_be_called_later_is_obeyed(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Answers(429, Some("30"), "{}"));
    let before = common::Timestamp::now().to_offset();
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let delivery = app
        .delivery(user, "sms", |delivery| !delivery["last_error"].is_null())
        .await;
    assert_eq!(backend.sms_error(user).await, "HTTP 429");
    assert_eq!(
        (&delivery["status"], &delivery["attempts"]),
        (&"pending".into(), &1.into())
    );
    let next = delivery["next_attempt_at"].as_str().unwrap();
    let next = time::OffsetDateTime::parse(next, &time::format_description::well_known::Rfc3339).unwrap();
    let wait = (next - before).whole_seconds();
    assert!((29..40).contains(&wait), "{wait} s");
    assert_eq!(app.provider.calls().len(), 1);
}

/// Whether the provider's wish to be asked later was heard: on a busy machine a try may end before its answer is there.
fn waits_for_minutes(delivery: &Value) -> bool {
    let in_minutes = common::Timestamp::now() + Duration::from_mins(5);
    // Times sort as text.
    let next = delivery["next_attempt_at"].as_str();
    next.is_some_and(|next| next > in_minutes.to_rfc3339().as_str())
}

async fn one_number_that_has_enough_holds_nobody_up(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let sms = async || app.readyz().await.1["dependencies"]["sms"].clone();
    app.provider.is(Mood::Answers(
        429,
        Some("600"),
        r#"{"code": 14107, "message": "too many to this number"}"#,
    ));
    let held = app.sign_up(Some(PHONE)).await.data.person.user_id;
    app.delivery(held, "sms", waits_for_minutes).await;
    app.provider.is(Mood::Accepts);
    let other = app.sign_up(Some("+15550124")).await.data.person.user_id;
    app.delivery(other, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!(app.delivery(held, "sms", |_| true).await["status"], "pending");
    assert_eq!(sms().await, "up");
    // The account's own pause is everybody's, and readiness says so.
    app.provider.is(Mood::Answers(429, Some("600"), r#"{"code": 20429}"#));
    let third = app.sign_up(Some("+15550125")).await.data.person.user_id;
    app.delivery(third, "sms", waits_for_minutes).await;
    assert_eq!(sms().await, "degraded");
}

async fn a_gateway_that_does_not_know_may_ask_to_be_called_later(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Answers(504, Some("600"), ""));
    app.sign_up(Some(PHONE)).await;
    // It is everybody's pause, and readiness says so.
    eventually(DEADLINE, async || {
        app.readyz().await.1["dependencies"]["sms"] == "degraded"
    })
    .await;
}

async fn a_failure_that_passes_is_tried_again_until_it_works(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Answers(503, None, ""));
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let delivery = app
        .delivery(user, "sms", |delivery| !delivery["last_error"].is_null())
        .await;
    assert_eq!(delivery["last_error"], "no try went through yet; it is tried again");
    assert_ne!(delivery["status"], "failed");
    app.provider.is(Mood::Accepts);
    let delivery = app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert!(delivery["attempts"].as_i64().unwrap() >= 2);
    assert_eq!(delivery["last_error"], Value::Null);
}

async fn a_refusal_of_our_own_account_waits_until_it_is_put_right(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for status in [401, 403, 404] {
        app.provider.is(Mood::Answers(status, None, r#"{"code": 20003}"#));
        let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
        let error = format!("HTTP {status}, code 20003");
        let delivery = app
            .delivery(user, "sms", |delivery| !delivery["last_error"].is_null())
            .await;
        assert_eq!(backend.sms_error(user).await, error);
        assert_ne!(delivery["status"], "failed");
        app.provider.is(Mood::Accepts);
        app.delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
    }
}

async fn an_answer_that_is_not_the_providers_is_no_success(backend: Backend) {
    let app = TestApp::start(&backend).await;
    for (status, error) in [
        (200, "HTTP 200 with an answer that can't be read"),
        (302, "HTTP 302"),
        (402, "HTTP 402"),
        (400, "HTTP 400"),
    ] {
        app.provider
            .is(Mood::Answers(status, None, "<html>Please log in</html>"));
        let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
        let delivery = app
            .delivery(user, "sms", |delivery| !delivery["last_error"].is_null())
            .await;
        assert_eq!(backend.sms_error(user).await, error);
        assert_ne!(delivery["status"], "failed");
        app.provider.is(Mood::Accepts);
        let delivery = app
            .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        let calls = app.provider.calls();
        let key = delivery["id"].as_str().unwrap();
        let of_one = calls.iter().filter(|call| call.header("idempotency-key") == key);
        assert_eq!(
            of_one.count() as u64,
            delivery["attempts"].as_u64().unwrap(),
            "one key a message"
        );
    }
}

async fn a_provider_that_is_out_is_left_alone_and_costs_no_attempt(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Hangs);
    let people: Vec<Uuid> = (0..30).map(|_| Uuid::now_v7()).collect();
    for user in &people {
        app.publish(Service::UserApi, &registered(*user, Some(PHONE))).await;
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (status, body) = app.readyz().await;
        // A provider that is out makes nobody unready; a database that is slow for a moment does.
        if status == 200 && body["dependencies"]["sms"] == "down" {
            assert_eq!(body["status"], "degraded");
            break;
        }
        assert!(Instant::now() < deadline, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.provider.is(Mood::Accepts);
    for user in people {
        let delivery = app
            .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        assert!(delivery["attempts"].as_i64().unwrap() <= 4, "{delivery}");
    }
}

async fn an_sms_that_waits_for_its_turn_is_handed_back_at_a_stop_without_an_attempt(mut backend: Backend) {
    let sms = &mut backend.settings.own.providers.sms;
    sms.places = 1;
    // Nothing ends by itself before the stop.
    (sms.call_timeout, sms.try_timeout) = (DEADLINE * 2, DEADLINE);
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Hangs);
    let asked = app.sign_up(Some(PHONE)).await.data.person.user_id;
    eventually(DEADLINE, async || app.provider.calls().len() == 1).await;
    let waiting = app.sign_up(Some("+15550124")).await.data.person.user_id;
    eventually(DEADLINE, async || backend.sms(waiting).await.0 == "sending").await;
    let waits = |line: &str| line.contains(r#"layer="bulkhead",decision="waited"} 1"#);
    eventually(DEADLINE, async || app.metrics().await.lines().any(waits)).await;

    app.tasks.shut_down(Duration::from_secs(8)).await.unwrap();

    assert_eq!(backend.sms(waiting).await, ("pending".to_owned(), 0));
    assert_eq!(backend.sms(asked).await, ("pending".to_owned(), 1));
    assert_eq!(backend.sms_error(asked).await, "the process ended before the answer");
    assert_eq!(app.provider.calls().len(), 1);
}
