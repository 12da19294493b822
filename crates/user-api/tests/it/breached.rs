//! Passwords that are known from breaches, as the sandbox knows them.

use std::time::Duration;

use common::{
    config::Service,
    process::Tasks,
    store::{Store, Timeouts},
};
use provider_sandbox::{Config, Running};
use reqwest::Client;
use serde_json::{Value, json};
use test_support::{TestDatabase, eventually, redis_url};
use tokio_util::sync::{CancellationToken, DropGuard};
use user_api::{BreachedPolicy, Settings};

use crate::test_app::{Answer, SOON, TestApp, ada};

/// What the sandbox knows, and nobody else does.
pub(crate) const BREACHED: &str = "Waypost-breached-1!";
/// The first five digits of its SHA-1.
const BREACHED_PREFIX: &str = "2BF17";

/// Somebody who knows breached passwords, until the test is over.
pub(crate) struct Sandbox {
    running: Running,
    client: Client,
    _stop: DropGuard,
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        let stop = CancellationToken::new();
        let address = "127.0.0.1:0".to_owned();
        Self {
            running: provider_sandbox::start(Config { address }, stop.clone()).unwrap(),
            client: Client::builder().timeout(SOON).build().unwrap(),
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.running.address)
    }

    async fn fault(&self, fault: Value) {
        let url = format!("{}/sandbox/faults/breached", self.url());
        let answer = self.client.put(url).json(&fault).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// What it was asked.
    async fn requests(&self) -> Vec<Value> {
        let url = format!("{}/sandbox/requests?provider=breached", self.url());
        let list: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// An app on PostgreSQL and Redis that asks this one.
    async fn app(&self) -> TestApp {
        self.app_on(TestDatabase::postgres().await, |_| {}).await
    }

    /// The same with no server.
    async fn embedded(&self, change: impl FnOnce(&mut Settings)) -> TestApp {
        let memory = |settings: &mut Settings| {
            settings.store.url = "memory://".to_owned().into();
            change(settings);
        };
        self.app_on(TestDatabase::sqlite(), memory).await
    }

    async fn app_on(&self, database: TestDatabase, change: impl FnOnce(&mut Settings)) -> TestApp {
        let asking = |settings: &mut Settings| {
            settings.own.providers.breached_passwords.url = self.url();
            // Long enough that a busy machine is not taken for a slow service.
            settings.own.providers.breached_passwords.timeout = Duration::from_secs(3);
            change(settings);
        };
        TestApp::start_on(database, asking).await
    }
}

/// Signs somebody new up with a password.
async fn sign_up(app: &TestApp, name: &str, password: &str) -> Answer {
    let mut person = ada();
    person["email"] = json!(format!("{name}@example.com"));
    person["password"] = json!(password);
    app.sign_up(&person).await
}

/// How many passwords there were of an outcome.
async fn counted(app: &TestApp, outcome: &str) -> u64 {
    let metrics = app.metrics().await;
    let series = format!("waypost_breached_password_checks_total{{service=\"user-api\",outcome=\"{outcome}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("{series} is not in {metrics}"))
        .parse()
        .unwrap()
}

fn assert_refused(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (422, "validation"),
        "{}",
        answer.text
    );
    insta::assert_json_snapshot!("breached_password", answer.snapshot());
}

/// What the service keeps in Redis.
struct Kept {
    store: Store,
    tasks: Tasks,
}

impl Kept {
    async fn of(app: &TestApp) -> Self {
        let tasks = Tasks::new(Service::UserApi);
        let timeouts = Timeouts {
            response: SOON,
            ..Timeouts::default()
        };
        let store = Store::open(&redis_url(), &app.settings.store.prefix, timeouts, &tasks).unwrap();
        assert!(store.connected(SOON).await);
        Self { store, tasks }
    }

    /// Waits until an answer is kept, and makes it older by so many hours.
    async fn age(&self, prefix: &str, hours: i64) {
        let key = format!("breached:{prefix}");
        let value = eventually(SOON, async || self.store.get(&key).await.unwrap()).await;
        // Two letters, and then the second at which it was asked for.
        let mut value = value.to_vec();
        let asked_at = i64::from_be_bytes(value[2..10].try_into().unwrap());
        value[2..10].copy_from_slice(&(asked_at - hours * 3600).to_be_bytes());
        self.store.set(&key, &value, Duration::from_hours(1)).await.unwrap();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breached_password_is_refused_and_five_digits_are_told() {
    let sandbox = Sandbox::start();
    let app = sandbox.embedded(|_| {}).await;
    assert_refused(&sign_up(&app, "ada", BREACHED).await);
    assert_eq!((app.count("users").await, counted(&app, "breached").await), (0, 1));
    let requests = sandbox.requests().await;
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0]["path"], format!("/range/{BREACHED_PREFIX}"));
    assert_eq!(requests[0]["headers"]["add-padding"], "true");
    assert_eq!(requests[0]["body"], "");

    // Another of the same form, and the same in other letters, is none.
    for (name, other) in [("bob", "Waypost-breached-2!"), ("eve", "waypost-breached-1!")] {
        assert_eq!(sign_up(&app, name, other).await.status, 201, "{other}");
    }
    assert_eq!((app.count("users").await, counted(&app, "clean").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_many_choose_is_refused_and_nobody_is_asked() {
    let sandbox = Sandbox::start();
    let app = sandbox.embedded(|_| {}).await;
    for common in ["12345678", "password1", "qwertyuiop"] {
        assert_refused(&sign_up(&app, "ada", common).await);
    }
    assert_eq!(counted(&app, "common").await, 3);
    assert!(sandbox.requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_asked_for_once_and_all_replicas_know_it() {
    let sandbox = Sandbox::start();
    let app = sandbox.app().await;
    assert_refused(&sign_up(&app, "ada", BREACHED).await);
    let kept = Kept::of(&app).await;
    kept.age(BREACHED_PREFIX, 23).await;
    let replica = app.replica().await;
    for app in [&app, &replica] {
        assert_refused(&sign_up(app, "ada", BREACHED).await);
    }
    assert_eq!(sandbox.requests().await.len(), 1);
    assert_eq!(counted(&replica, "breached").await, 1);

    kept.age(BREACHED_PREFIX, 2).await;
    assert_refused(&sign_up(&app, "ada", BREACHED).await);
    assert_eq!(sandbox.requests().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_keeps_nobody_out_is_left_alone_and_found_again() {
    let sandbox = Sandbox::start();
    let usual =
        |settings: &mut Settings| settings.own.providers.breached_passwords.timeout = Duration::from_millis(300);
    let app = sandbox.embedded(usual).await;
    sandbox.fault(json!({"mode": "hang"})).await;
    for n in 0..8 {
        let answer = sign_up(&app, &format!("person{n}"), BREACHED).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    assert_eq!(counted(&app, "unknown").await, 8);
    let readiness = app.readiness().await;
    let readiness = (readiness.status, readiness.json());
    assert_eq!((readiness.0, &readiness.1["status"]), (200, &json!("degraded")));
    assert_eq!(readiness.1["dependencies"]["breached_passwords"], "down");
    // The breaker opened after five.
    assert!(sandbox.requests().await.len() < 8);

    sandbox.fault(json!({})).await;
    let unused = || uuid::Uuid::now_v7().simple().to_string();
    eventually(SOON, async || sign_up(&app, &unused(), BREACHED).await.status == 422).await;
    // Its breaker wants to see two answers, and what was asked for once is known.
    eventually(SOON, async || {
        assert_eq!(sign_up(&app, &unused(), &unused()).await.status, 201);
        app.readiness().await.json()["status"] == "up"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_answered_before_counts_however_old_while_it_hangs() {
    let sandbox = Sandbox::start();
    let app = sandbox.app().await;
    assert_refused(&sign_up(&app, "ada", BREACHED).await);
    Kept::of(&app).await.age(BREACHED_PREFIX, 24 * 20).await;
    sandbox.fault(json!({"mode": "hang"})).await;
    assert_refused(&sign_up(&app, "ada", BREACHED).await);
    assert_eq!(counted(&app, "stale_breached").await, 1);
    // Of another range nothing was ever heard.
    assert_eq!(sign_up(&app, "bob", "correct horse battery").await.status, 201);
    assert_eq!((counted(&app, "unknown").await, app.count("users").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_password_is_taken_by_an_old_answer_too() {
    let sandbox = Sandbox::start();
    let app = sandbox.app().await;
    assert_eq!(sign_up(&app, "ada", "correct horse battery").await.status, 201);
    let asked = sandbox.requests().await[0]["path"].as_str().unwrap().to_owned();
    let prefix = asked.strip_prefix("/range/").unwrap();
    Kept::of(&app).await.age(prefix, 25).await;
    sandbox.fault(json!({"status": 503})).await;
    assert_eq!(sign_up(&app, "bob", "correct horse battery").await.status, 201);
    assert_eq!(
        (counted(&app, "clean").await, counted(&app, "stale_clean").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_keeps_nobody_out_and_is_not_kept() {
    let sandbox = Sandbox::start();
    for fault in [
        json!({"status": 500}),
        json!({"status": 302}),
        json!({"status": 404}),
        json!({"mode": "garbage"}),
        json!({"mode": "endless"}),
        json!({"mode": "drip"}),
        json!({"mode": "reset"}),
    ] {
        let app = sandbox.embedded(|_| {}).await;
        sandbox.fault(fault.clone()).await;
        let answer = sign_up(&app, "ada", BREACHED).await;
        assert_eq!(answer.status, 201, "{fault}: {}", answer.text);
        assert_eq!(counted(&app, "unknown").await, 1, "{fault}");
        sandbox.fault(json!({})).await;
        assert_refused(&sign_up(&app, "bob", BREACHED).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_for_a_pause_gets_it_and_nobody_is_kept_out() {
    let sandbox = Sandbox::start();
    let app = sandbox.embedded(|_| {}).await;
    sandbox.fault(json!({"status": 429, "retry_after_s": 3600})).await;
    for name in ["ada", "bob", "eve"] {
        assert_eq!(sign_up(&app, name, BREACHED).await.status, 201, "{name}");
    }
    assert_eq!((counted(&app, "unknown").await, sandbox.requests().await.len()), (3, 1));
    assert_eq!(
        app.readiness().await.json()["dependencies"]["breached_passwords"],
        "degraded"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_only_to_be_said_a_breached_password_is_taken() {
    let sandbox = Sandbox::start();
    let warn = |settings: &mut Settings| settings.own.accounts.breached_passwords = BreachedPolicy::Warn;
    let app = sandbox.embedded(warn).await;
    assert_eq!(sign_up(&app, "ada", BREACHED).await.status, 201);
    assert_eq!(sign_up(&app, "bob", "password1").await.status, 201);
    assert_eq!((counted(&app, "breached").await, counted(&app, "common").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_off_or_nobody_is_named_nobody_is_asked() {
    let sandbox = Sandbox::start();
    let off = |settings: &mut Settings| settings.own.accounts.breached_passwords = BreachedPolicy::Off;
    let nobody = |settings: &mut Settings| settings.own.providers.breached_passwords.url.clear();
    for app in [sandbox.embedded(off).await, sandbox.embedded(nobody).await] {
        assert_eq!(sign_up(&app, "ada", BREACHED).await.status, 201);
        assert_eq!(sign_up(&app, "bob", "password1").await.status, 201);
        assert_eq!(counted(&app, "off").await, 2);
        let readiness = app.readiness().await.json();
        assert_eq!(readiness["dependencies"]["breached_passwords"], Value::Null);
    }
    assert!(sandbox.requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_come_first_and_nobody_is_asked_for_what_they_refuse() {
    let sandbox = Sandbox::start();
    let app = sandbox.embedded(|_| {}).await;
    let answer = sign_up(&app, "no address", BREACHED).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1);
    assert_eq!(answer.json()["errors"][0]["pointer"], "/email");
    assert!(sandbox.requests().await.is_empty());
    assert_eq!(counted(&app, "breached").await, 0);
}
