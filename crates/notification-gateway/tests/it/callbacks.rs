//! What an SMS provider tells of a message: believed by its signature, taken over once, never back.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use notification_gateway::SmsProvider;
use reqwest::Method;
use serde_json::Value;
use sha1::Sha1;
use uuid::Uuid;

use crate::app::{Backend, TestApp, on_both_databases};
use crate::provider::{Mood, Provider};

const PHONE: &str = "+15550123";
const ACCOUNT: &str = "AC-development";
const TOKEN: &str = "development";

on_both_databases!(
    the_provider_is_told_where_to_call,
    a_message_that_arrived_stays_arrived,
    a_message_that_did_not_arrive_has_failed_and_stays_so,
    who_does_not_sign_with_our_token_is_not_believed,
    a_message_that_nobody_sent_is_not_there,
    bad_calls_are_refused,
    one_account_may_be_two_providers,
    where_there_is_no_token_nobody_can_sign,
);

/// A call as Twilio makes it.
struct Call<'a> {
    account: &'a str,
    token: &'a str,
    message: &'a str,
    status: &'a str,
}

impl Call<'_> {
    fn form(&self) -> Vec<(&str, &str)> {
        let mut form = vec![
            ("AccountSid", self.account),
            ("MessageSid", self.message),
            ("MessageStatus", self.status),
            ("To", PHONE),
        ];
        if self.status == "undelivered" {
            form.push(("ErrorCode", "30003"));
        }
        form
    }

    async fn make(&self, app: &TestApp) -> (u16, Value) {
        let mut form = self.form();
        let request = app.request(Method::POST, "/v1/callbacks/sms").form(&form);
        form.sort_unstable();
        let mut mac = Hmac::<Sha1>::new_from_slice(self.token.as_bytes()).unwrap();
        mac.update(app.url("/v1/callbacks/sms").as_bytes());
        for (name, value) in form {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        app.send(request.header("X-Twilio-Signature", signature)).await
    }
}

fn told<'a>(message: &'a str, status: &'a str) -> Call<'a> {
    Call {
        account: ACCOUNT,
        token: TOKEN,
        message,
        status,
    }
}

/// How many calls came to this, by the metrics.
async fn counted(app: &TestApp, outcome: &str) -> u64 {
    let metrics = app.metrics().await;
    let is_of_it = |line: &&str| line.contains(&format!("provider=\"sms\",outcome=\"{outcome}\""));
    let mut lines = metrics
        .lines()
        .filter(|line| line.starts_with("waypost_callbacks_total{"));
    let line = lines.find(is_of_it);
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// A person whose SMS the provider took as `SM1`.
async fn taken(app: &TestApp) -> Uuid {
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    app.delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    user
}

async fn the_provider_is_told_where_to_call(backend: Backend) {
    let app = TestApp::start(&backend).await;
    taken(&app).await;
    let call = app.provider.calls().remove(0);
    assert_eq!(call.field("StatusCallback"), app.url("/v1/callbacks/sms"));
}

async fn a_message_that_arrived_stays_arrived(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = taken(&app).await;
    assert_eq!(told("SM1", "sent").make(&app).await.0, 204);
    assert_eq!(app.delivery(user, "sms", |_| true).await["status"], "accepted");
    for status in ["delivered", "delivered", "sent", "undelivered", "failed"] {
        assert_eq!(told("SM1", status).make(&app).await.0, 204, "{status}");
        let delivery = app.delivery(user, "sms", |_| true).await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"], &delivery["last_error"]),
            (&"delivered".into(), &"delivered".into(), &Value::Null),
            "{status}"
        );
    }
    let items = app.notifications(user, |items| items.len() == 1).await;
    assert_eq!(items[0]["channels"]["sms"], "delivered");
}

async fn a_message_that_did_not_arrive_has_failed_and_stays_so(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = taken(&app).await;
    for status in ["undelivered", "delivered"] {
        assert_eq!(told("SM1", status).make(&app).await.0, 204);
        let delivery = app.delivery(user, "sms", |_| true).await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&"failed".into(), &"rejected".into())
        );
        assert_eq!(
            backend.sms_error(user).await,
            "the provider could not deliver it, code 30003"
        );
    }
}

async fn who_does_not_sign_with_our_token_is_not_believed(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = taken(&app).await;
    for call in [
        Call {
            token: "another",
            ..told("SM1", "delivered")
        },
        Call {
            account: "AC-another",
            ..told("SM1", "delivered")
        },
        Call {
            account: "",
            token: "",
            ..told("SM1", "delivered")
        },
    ] {
        let (status, problem) = call.make(&app).await;
        assert_eq!((status, &problem["type"]), (401, &"/problems/bad-signature".into()));
    }
    assert_eq!(app.delivery(user, "sms", |_| true).await["status"], "accepted");
}

async fn a_message_that_nobody_sent_is_not_there(backend: Backend) {
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Answers(503, None, ""));
    app.sign_up(Some(PHONE)).await;
    assert_eq!(told("SM404", "delivered").make(&app).await.0, 404);
    let long = "x".repeat(200);
    for message in ["", long.as_str()] {
        assert_eq!(told(message, "delivered").make(&app).await.0, 404);
    }
    assert_eq!(counted(&app, "unknown_message").await, 3);
}

async fn bad_calls_are_refused(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let post = || app.request(Method::POST, "/v1/callbacks/sms");
    let signed = || post().header("X-Twilio-Signature", "AAAA");
    let form = "application/x-www-form-urlencoded";
    let fields = "a=b&".repeat(300);
    for (request, expected) in [
        (post().form(&[("a", "b")]), 401),
        (
            post().header("X-Twilio-Signature", "no base64!").form(&[("a", "b")]),
            401,
        ),
        (signed().json(&[1]), 415),
        (
            signed()
                .header("content-type", form)
                .body("x=".to_owned() + &"y".repeat(70_000)),
            413,
        ),
        (signed().header("content-type", form).body(fields), 422),
        (signed().header("content-type", form).body("%ff%fe=%00&&&="), 401),
        (app.request(Method::GET, "/v1/callbacks/sms"), 405),
        (app.request(Method::POST, "/v1/callbacks/pigeon"), 404),
    ] {
        let (status, problem) = app.send(request).await;
        assert_eq!(status, expected, "{problem}");
    }
    // The two that were signed with something, and the one that was not signed.
    assert_eq!(
        (counted(&app, "bad_signature").await, counted(&app, "unsigned").await),
        (2, 1)
    );
    // The three whose form is none, or too much of one; and what is neither signed nor a form counts once.
    assert_eq!(counted(&app, "unreadable").await, 3);
    assert_eq!(app.send(post().json(&[1])).await.0, 401);
    assert_eq!(
        (counted(&app, "unreadable").await, counted(&app, "unsigned").await),
        (3, 2)
    );
}

async fn one_account_may_be_two_providers(mut backend: Backend) {
    let other = Provider::start();
    let first = backend.settings.own.providers.sms.first();
    let also = SmsProvider {
        url: format!("http://{}", other.address),
        sender: "+15550001".into(),
        priority: 1,
        ..first
    };
    backend.settings.own.providers.sms.also = BTreeMap::from([("other-number".into(), also)]);
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Answers(503, None, ""));
    let user = taken(&app).await;
    assert_eq!(
        app.delivery(user, "sms", |_| true).await["provider"],
        "sms.other-number"
    );
    assert_eq!(told("SM1", "delivered").make(&app).await.0, 204);
    assert_eq!(app.delivery(user, "sms", |_| true).await["status"], "delivered");
}

async fn where_there_is_no_token_nobody_can_sign(mut backend: Backend) {
    backend.settings.own.providers.sms.token = String::new().into();
    let app = TestApp::start(&backend).await;
    let user = taken(&app).await;
    let unsigned = Call {
        token: "",
        ..told("SM1", "delivered")
    };
    assert_eq!(unsigned.make(&app).await.0, 401);
    assert_eq!(app.delivery(user, "sms", |_| true).await["status"], "accepted");
}
