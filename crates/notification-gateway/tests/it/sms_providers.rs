//! Several SMS providers: who is asked, who takes a message, and what is kept of that.

use std::collections::BTreeMap;
use std::time::Duration;

use common::dispatch::{ExchangeStatus, attempt};
use notification_gateway::{AfterUnknown, SmsProvider};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use test_support::eventually;
use uuid::Uuid;

use crate::app::{Backend, DEADLINE, TestApp, on_both_databases};
use crate::provider::{Mood, Provider};

const PHONE: &str = "+15550123";

on_both_databases!(
    what_the_first_provider_does_not_take_goes_out_by_the_next,
    a_gateway_before_the_provider_does_not_know_whether_that_one_took_it,
    the_five_deliveries_that_opened_the_breaker_go_out_by_the_other_provider,
    a_refusal_by_the_first_provider_is_final,
    a_message_that_may_have_arrived_is_the_same_provider_s_where_that_is_wanted,
    a_message_that_may_have_arrived_has_failed_where_that_is_wanted,
    where_nobody_takes_it_it_is_tried_again_and_goes_out_once,
    one_that_waits_for_its_provider_holds_nobody_else_up,
    a_refusal_of_our_account_by_one_provider_is_no_word_of_the_message,
    a_provider_that_is_held_is_not_asked_until_it_is_released,
    the_first_provider_is_held_without_the_others,
);

/// A gateway with two providers: `sms` and `sms.backup`.
struct Two {
    app: TestApp,
    backup: Provider,
}

impl Two {
    async fn start(backend: &mut Backend, after_unknown: AfterUnknown) -> Self {
        let backup = Provider::start();
        let settings = &mut backend.settings.own.providers.sms;
        settings.after_unknown = after_unknown;
        let also = SmsProvider {
            url: format!("http://{}", backup.address),
            account: "AC-backup".into(),
            token: "other".to_owned().into(),
            sender: "+15550001".into(),
            rate: 0.0,
            priority: 1,
            weight: 1,
        };
        settings.also = BTreeMap::from([("backup".into(), also)]);
        Self {
            app: TestApp::start(backend).await,
            backup,
        }
    }

    async fn sign_up(&self) -> Uuid {
        self.app.sign_up(Some(PHONE)).await.data.person.user_id
    }
}

/// Who was asked about a delivery, and what came of it.
async fn attempts(backend: &Backend, delivery: &serde_json::Value) -> Vec<(String, ExchangeStatus)> {
    let id: Uuid = delivery["id"].as_str().unwrap().parse().unwrap();
    let of_delivery = attempt::Entity::find()
        .filter(attempt::Column::DeliveryId.eq(id))
        .order_by_asc(attempt::Column::Id);
    let rows = of_delivery.all(backend.database.unguarded()).await.unwrap();
    rows.into_iter().map(|row| (row.provider, row.status)).collect()
}

async fn what_the_first_provider_does_not_take_goes_out_by_the_next(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    for (mood, came_of_it) in [
        (Mood::Hangs, ExchangeStatus::Unknown),
        (Mood::Answers(500, None, ""), ExchangeStatus::Failed),
        (Mood::Answers(401, None, r#"{"code": 20003}"#), ExchangeStatus::Failed),
        (Mood::Answers(200, None, "<html>"), ExchangeStatus::Unknown),
        (
            Mood::Answers(429, Some("60"), r#"{"code": 20429}"#),
            ExchangeStatus::Failed,
        ),
    ] {
        two.app.provider.is(mood);
        let (calls, user) = (two.backup.calls().len(), two.sign_up().await);
        let delivery = two
            .app
            .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        assert_eq!(delivery["provider"], "sms.backup");
        assert_eq!(delivery["attempts"], 1);
        let asked = attempts(&backend, &delivery).await;
        let expected = [
            ("sms".to_owned(), came_of_it),
            ("sms.backup".to_owned(), ExchangeStatus::Accepted),
        ];
        assert_eq!(asked, expected);
        assert_eq!(two.backup.calls().len(), calls + 1);
    }
    let call = two.backup.calls().remove(0);
    assert_eq!(call.path, "/2010-04-01/Accounts/AC-backup/Messages.json");
    assert_eq!((call.field("To"), call.field("From")), (PHONE, "+15550001"));
    // The pause that the first asked for is kept: it is not asked at all.
    let (calls, user) = (two.app.provider.calls().len(), two.sign_up().await);
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    let backup_alone = [("sms.backup".to_owned(), ExchangeStatus::Accepted)];
    assert_eq!(attempts(&backend, &delivery).await, backup_alone);
    assert_eq!(two.app.provider.calls().len(), calls);
    assert_eq!(two.app.readyz().await.1["dependencies"]["sms"], "degraded");
}

async fn a_gateway_before_the_provider_does_not_know_whether_that_one_took_it(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    for (status, wait, came_of_it) in [
        (504, None, ExchangeStatus::Unknown),
        // It did not get the request whole.
        (408, None, ExchangeStatus::Failed),
        (502, Some("60"), ExchangeStatus::Unknown),
    ] {
        two.app.provider.is(Mood::Answers(status, wait, ""));
        let user = two.sign_up().await;
        let delivery = two
            .app
            .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        let expected = [
            ("sms".to_owned(), came_of_it),
            ("sms.backup".to_owned(), ExchangeStatus::Accepted),
        ];
        assert_eq!(attempts(&backend, &delivery).await, expected, "{status}");
    }
    let metrics = two.app.metrics().await;
    let may_be_with_both = metrics.lines().find(|line| {
        line.starts_with("waypost_deliveries_maybe_sent_total{") && line.contains("channel=\"sms\",cause=\"no_answer\"")
    });
    assert!(
        may_be_with_both.is_some_and(|line| line.ends_with(" 2")),
        "{may_be_with_both:?}"
    );
    // The pause that the gateway asked for is kept: nobody is asked behind it.
    let user = two.sign_up().await;
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    let backup_alone = [("sms.backup".to_owned(), ExchangeStatus::Accepted)];
    assert_eq!(attempts(&backend, &delivery).await, backup_alone);
}

async fn the_five_deliveries_that_opened_the_breaker_go_out_by_the_other_provider(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    two.app.provider.is(Mood::Answers(503, None, ""));
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(two.sign_up().await);
    }
    for user in &people {
        let delivery = two
            .app
            .delivery(*user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        assert_eq!(delivery["provider"], "sms.backup");
    }
    assert_eq!(two.app.provider.calls().len(), 5, "the breaker wants five");
    let sixth = two.sign_up().await;
    two.app
        .delivery(sixth, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!(two.app.provider.calls().len(), 5, "and then leaves it alone");
    let mut keys: Vec<_> = two
        .backup
        .calls()
        .iter()
        .map(|call| call.header("idempotency-key").to_owned())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), two.backup.calls().len()), (6, 6), "each once");
}

async fn a_refusal_by_the_first_provider_is_final(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    two.app.provider.is(Mood::Answers(400, None, r#"{"code": 21211}"#));
    let user = two.sign_up().await;
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| delivery["status"] == "failed")
        .await;
    assert_eq!(delivery["reason"], "rejected");
    assert_eq!(two.backup.calls().len(), 0);
}

async fn a_message_that_may_have_arrived_is_the_same_provider_s_where_that_is_wanted(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Retry).await;
    for mood in [Mood::Hangs, Mood::Answers(504, None, "")] {
        two.app.provider.is(mood);
        let user = two.sign_up().await;
        let delivery = two
            .app
            .delivery(user, "sms", |delivery| !delivery["last_error"].is_null())
            .await;
        assert_eq!(delivery["provider"], "sms");
        two.app.provider.is(Mood::Accepts);
        let delivery = two
            .app
            .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        assert_eq!(delivery["provider"], "sms");
    }
    assert_eq!(two.backup.calls().len(), 0);
}

async fn a_message_that_may_have_arrived_has_failed_where_that_is_wanted(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Stop).await;
    for (asked, mood) in [Mood::Hangs, Mood::Answers(504, None, "")].into_iter().enumerate() {
        two.app.provider.is(mood);
        let user = two.sign_up().await;
        let delivery = two
            .app
            .delivery(user, "sms", |delivery| delivery["status"] == "failed")
            .await;
        assert_eq!(
            (&delivery["reason"], &delivery["provider"]),
            (&"unknown".into(), &"sms".into())
        );
        let calls = (two.app.provider.calls().len(), two.backup.calls().len());
        assert_eq!(calls, (asked + 1, 0));
    }
}

async fn where_nobody_takes_it_it_is_tried_again_and_goes_out_once(mut backend: Backend) {
    backend.settings.dispatch.retry_delays = vec![Duration::from_millis(100)];
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    two.app.provider.is(Mood::Answers(500, None, ""));
    two.backup.is(Mood::Answers(500, None, ""));
    let user = two.sign_up().await;
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| !delivery["last_error"].is_null())
        .await;
    assert_eq!(delivery["provider"], serde_json::Value::Null);
    assert_eq!(backend.sms_error(user).await, "HTTP 500; then HTTP 500");
    two.backup.is(Mood::Accepts);
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!(delivery["provider"], "sms.backup");
    let taken = attempts(&backend, &delivery).await.into_iter();
    assert_eq!(
        taken.filter(|(_, status)| *status == ExchangeStatus::Accepted).count(),
        1
    );
}

async fn one_that_waits_for_its_provider_holds_nobody_else_up(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Retry).await;
    two.app.provider.is(Mood::Hangs);
    // Each of them may be with the first provider, whose breaker they open.
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(two.sign_up().await);
    }
    for user in &held {
        two.app
            .delivery(*user, "sms", |delivery| delivery["provider"] == "sms")
            .await;
    }
    let other = two.sign_up().await;
    let delivery = two
        .app
        .delivery(other, "sms", |delivery| {
            delivery["status"] == "accepted" || delivery["provider"] == "sms"
        })
        .await;
    // Its turn may have been a probe of the first one; else it went out by the other one.
    assert!(
        delivery["provider"] == "sms.backup" || delivery["status"] == "pending" || delivery["status"] == "sending",
        "{delivery}"
    );
    two.app.provider.is(Mood::Accepts);
    for user in held {
        let delivery = two
            .app
            .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
            .await;
        assert_eq!(delivery["provider"], "sms");
    }
}

async fn a_refusal_of_our_account_by_one_provider_is_no_word_of_the_message(mut backend: Backend) {
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    // No permission to send to that country.
    two.app.provider.is(Mood::Answers(400, None, r#"{"code": 21408}"#));
    let user = two.sign_up().await;
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!(delivery["provider"], "sms.backup");
}

/// Holds or releases a destination, as an operator does.
async fn hold(two: &Two, method: reqwest::Method, destination: &str) -> u16 {
    let mut body = serde_json::json!({"reason": "they bill us twice"});
    if method == reqwest::Method::PUT {
        body["for_s"] = 3600.into();
    }
    let request = two.app.operations(method, &format!("/operations/holds/{destination}"));
    two.app.send(request.bearer_auth("sesame").json(&body)).await.0
}

async fn a_provider_that_is_held_is_not_asked_until_it_is_released(mut backend: Backend) {
    backend.settings.operations.token = "sesame".into();
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    assert_eq!(hold(&two, reqwest::Method::PUT, "sms.backup").await, 204);
    two.app.provider.is(Mood::Answers(500, None, ""));
    let user = two.sign_up().await;
    let tried_twice = |delivery: &serde_json::Value| delivery["attempts"].as_i64() >= Some(2);
    two.app.delivery(user, "sms", tried_twice).await;
    assert_eq!(two.backup.calls().len(), 0);
    assert_eq!(hold(&two, reqwest::Method::DELETE, "sms.backup").await, 204);
    let delivery = two
        .app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!(delivery["provider"], "sms.backup");
}

async fn the_first_provider_is_held_without_the_others(mut backend: Backend) {
    backend.settings.operations.token = "sesame".into();
    let two = Two::start(&mut backend, AfterUnknown::Next).await;
    let list = two.app.operations(reqwest::Method::GET, "/operations/holds");
    let (_, list) = two.app.send(list.bearer_auth("sesame")).await;
    assert_eq!(
        list["destinations"],
        serde_json::json!(["sms", "sms.first", "sms.backup"])
    );
    assert_eq!(hold(&two, reqwest::Method::PUT, "sms.first").await, 204);
    // Its first look at the table may still be to come.
    eventually(DEADLINE, || async {
        two.app.readyz().await.1["held"] == serde_json::json!(["sms.first"])
    })
    .await;
    let user = two.sign_up().await;
    let is_accepted = |delivery: &serde_json::Value| delivery["status"] == "accepted";
    let delivery = two.app.delivery(user, "sms", is_accepted).await;
    assert_eq!(
        (&delivery["provider"], &delivery["attempts"]),
        (&"sms.backup".into(), &1.into())
    );
    assert_eq!(two.app.provider.calls().len(), 0);
    assert_eq!(hold(&two, reqwest::Method::DELETE, "sms.first").await, 204);
    let user = two.sign_up().await;
    let delivery = two.app.delivery(user, "sms", is_accepted).await;
    assert_eq!(delivery["provider"], "sms");
}
