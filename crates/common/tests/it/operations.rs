//! The operations API over a real port and real databases: who is let in, breakers, and what the audit keeps.

use std::net::SocketAddr;
use std::time::Duration;

use common::config::{Profile, Service, Settings};
use common::database::Database;
use common::messaging::Broker;
use common::outbound::{Destination, OutboundClient};
use common::process::{Need, State, Tasks};
use common::service::{Kit, Parts};
use migrations::{MigratorTraitSelf, Owner};
use reqwest::{Method, RequestBuilder};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use test_support::{TestDatabase, eventually};

const TOKEN: &str = "correct-horse-battery";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const DEADLINE: Duration = Duration::from_secs(20);

/// A service with one destination, and its operations port.
struct Operated {
    address: SocketAddr,
    client: reqwest::Client,
    sms: OutboundClient,
    database: Database,
    tasks: Tasks,
    _kept: TestDatabase,
}

impl Operated {
    async fn start(kept: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = kept.url().to_owned().into();
        settings.database.max_connections = 4;
        settings.operations.token = TOKEN.into();
        change(&mut settings);
        let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
        if database.is_postgres() {
            let schema = "CREATE SCHEMA email_worker";
            database.unguarded().execute_unprepared(schema).await.unwrap();
        }
        let migrations = migrations::of(Owner::EmailWorker);
        migrations.up(database.unguarded(), None).await.unwrap();
        let tasks = Tasks::new(Service::EmailWorker);
        let parts = Parts {
            tables: migrations.names(),
            broker: Some(Broker::memory()),
            broker_is: Need::Required,
            tells_events: false,
        };
        let kit = Kit::open(&settings, &tasks, parts).await.unwrap();
        let outbound = kit.outbound(&kit.store().unwrap());
        let destination = Destination::new("sms", Duration::from_secs(2), Duration::from_secs(1));
        let sms = outbound.client(&destination).unwrap();
        Self {
            address: kit.serve_operations().unwrap(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            sms,
            database,
            tasks,
            _kept: kept,
        }
    }

    fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(TOKEN)
    }

    async fn set(&self, destination: &str, body: Value) -> (u16, Value) {
        let path = format!("/operations/breakers/{destination}");
        answer(self.request(Method::PUT, &path).json(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = answer(self.request(Method::GET, path)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn breaker(&self) -> Value {
        let mut list = self.get("/operations/breakers").await;
        assert_eq!(list["next_cursor"], Value::Null);
        let items = list["items"].as_array_mut().unwrap();
        assert_eq!(items.len(), 1, "{items:?}");
        items.remove(0)
    }

    async fn audit(&self) -> Vec<Value> {
        self.get("/operations/audit").await["items"].as_array().unwrap().clone()
    }

    async fn metrics(&self) -> String {
        let answer = self.anonymous(Method::GET, "/metrics").send().await.unwrap();
        answer.text().await.unwrap()
    }
}

impl Drop for Operated {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// Runs each test on PostgreSQL and on `SQLite`.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(test_support::TestDatabase::postgres().await).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(test_support::TestDatabase::sqlite()).await; })*
        }
    };
}

on_both_databases!(
    a_mode_is_set_for_a_time_and_ends_by_itself,
    each_action_has_its_line_and_the_newest_comes_first,
    input_that_is_no_good_sets_nothing_and_leaves_no_line,
    an_action_whose_line_can_not_be_written_is_not_done,
);

#[tokio::test]
async fn whoever_has_the_token_is_let_in_and_nobody_else() {
    let service = Operated::start(TestDatabase::sqlite(), |_| {}).await;
    let paths = [
        "/operations",
        "/operations/breakers",
        "/operations/audit",
        "/operations/none",
    ];
    for (path, status) in paths.into_iter().zip([404, 200, 200, 404]) {
        for (shown, challenge) in [
            (None, "Bearer"),
            (Some("Basic d3JvbmcK"), "Bearer"),
            (Some("Bearer wrong"), "Bearer error=\"invalid_token\""),
            (Some("Bearer correct-horse-batterY"), "Bearer error=\"invalid_token\""),
        ] {
            let request = service.anonymous(Method::GET, path);
            let request = shown
                .into_iter()
                .fold(request, |request, shown| request.header("authorization", shown));
            let refused = request.send().await.unwrap();
            assert_eq!(refused.status(), 401, "{path} {shown:?}");
            assert_eq!(refused.headers()["www-authenticate"], challenge);
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
        }
        let (found, problem) = answer(service.request(Method::GET, path)).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(status == 404, problem["type"] == "/problems/not-found", "{problem}");
    }
    // Whoever is not let in hears nothing of their query.
    let long = format!("/operations/audit?limit={}", "1".repeat(8 * 1024));
    assert_eq!(
        service.anonymous(Method::GET, &long).send().await.unwrap().status(),
        401
    );
    let (status, problem) = answer(service.request(Method::GET, &long)).await;
    assert_eq!(
        (status, &problem["type"]),
        (414, &json!("/problems/uri-too-long")),
        "{problem}"
    );
    // What the port had before asks for nothing.
    for open in ["/livez", "/readyz", "/metrics", "/version", "/problems/unauthorized"] {
        assert_eq!(
            service.anonymous(Method::GET, open).send().await.unwrap().status(),
            200,
            "{open}"
        );
    }
    let metrics = service.metrics().await;
    // One more had no token: the long query.
    for (reason, count) in [("no_token", 9), ("bad_token", 8)] {
        let line = format!("waypost_operations_refused_total{{service=\"email-worker\",reason=\"{reason}\"}} {count}");
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    let route = "http_route=\"/operations/breakers\",http_response_status_code=\"200\"";
    assert!(metrics.contains(route), "{metrics}");
}

#[tokio::test]
async fn without_a_token_it_is_there_under_development_alone_and_for_the_machine_itself() {
    let profiles = [
        (Profile::Development, 200),
        (Profile::Test, 404),
        (Profile::Production, 404),
    ];
    for (profile, status) in profiles {
        let service = Operated::start(TestDatabase::sqlite(), |settings| {
            settings.profile = profile;
            settings.operations.token = "".into();
        });
        let service = service.await;
        let with_token = service.request(Method::GET, "/operations/breakers");
        let without = service.anonymous(Method::GET, "/operations/breakers");
        assert_eq!((answer(with_token).await.0, answer(without).await.0), (status, status));
        assert_eq!(answer(service.anonymous(Method::GET, "/livez")).await.0, 200);
        // A page that has made a name of its own mean this machine.
        if profile == Profile::Development {
            let rebound = service.anonymous(Method::GET, "/operations/breakers");
            assert_eq!(answer(rebound.header("host", "evil.example.com")).await.0, 421);
        }
    }
}

#[tokio::test]
async fn a_method_that_is_not_offered_is_refused_with_those_that_are() {
    let service = Operated::start(TestDatabase::sqlite(), |_| {}).await;
    for (path, allow) in [
        ("/operations/breakers", "GET, HEAD"),
        ("/operations/breakers/sms", "PUT"),
        ("/operations/audit", "GET, HEAD"),
    ] {
        let refused = service.request(Method::DELETE, path).send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["allow"]),
            (405, &allow.parse().unwrap())
        );
    }
    assert_eq!(
        answer(service.request(Method::HEAD, "/operations/breakers")).await.0,
        200
    );
}

#[tokio::test]
async fn what_the_port_had_before_has_a_head_and_takes_no_other_method() {
    let service = Operated::start(TestDatabase::sqlite(), |_| {}).await;
    for path in ["/livez", "/readyz", "/metrics", "/version"] {
        let head = service.anonymous(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert_ne!(head.headers()["content-length"], "0", "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let refused = service.anonymous(method.clone(), path).send().await.unwrap();
            assert_eq!(
                (refused.status().as_u16(), &refused.headers()["allow"]),
                (405, &"GET, HEAD".parse().unwrap()),
                "{method} {path}"
            );
        }
    }
}

async fn a_mode_is_set_for_a_time_and_ends_by_itself(database: TestDatabase) {
    let service = Operated::start(database, |_| {}).await;
    let untouched = json!({
        "destination": "sms", "state": "closed", "mode": "on", "mode_ends_in_s": null, "calls": 0, "failed": 0, "slow": 0,
    });
    assert_eq!(service.breaker().await, untouched);

    let body = json!({"mode": "forced_open", "for_s": 2, "reason": "they asked for it"});
    assert_eq!(service.set("sms", body).await, (204, Value::Null));
    let forced = service.breaker().await;
    assert_eq!(
        (&forced["state"], &forced["mode"]),
        (&"open".into(), &"forced_open".into())
    );
    assert!(
        (1..=2).contains(&forced["mode_ends_in_s"].as_i64().unwrap()),
        "{forced}"
    );
    assert_eq!(service.sms.state(), State::Down);
    let ended = eventually(DEADLINE, || async {
        let breaker = service.breaker().await;
        (breaker["mode"] == "on").then_some(breaker)
    });
    assert_eq!(ended.await, untouched);

    // Until somebody ends it.
    let body = json!({"mode": "forced_open", "reason": "they asked for it"});
    assert_eq!(service.set("sms", body).await.0, 204);
    let forced = service.breaker().await;
    assert_eq!(
        (&forced["mode"], &forced["mode_ends_in_s"]),
        (&"forced_open".into(), &Value::Null)
    );
    assert_eq!(
        service
            .set("sms", json!({"mode": "on", "reason": "it is over"}))
            .await
            .0,
        204
    );
    assert_eq!(service.breaker().await, untouched);
}

async fn each_action_has_its_line_and_the_newest_comes_first(database: TestDatabase) {
    let service = Operated::start(database, |_| {}).await;
    let modes = ["forced_open", "forced_closed", "metrics_only", "on"];
    for mode in modes {
        let request = service
            .request(Method::PUT, "/operations/breakers/sms")
            .header("x-operator", "ada")
            .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-00"))
            .json(&json!({"mode": mode, "for_s": 60, "reason": format!(" why {mode} ")}));
        assert_eq!(answer(request).await.0, 204);
    }
    let lines = service.audit().await;
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, mode) in lines.iter().zip(modes.iter().rev()) {
        assert_eq!(line["who"], "ada");
        assert_eq!(
            (&line["action"], &line["target"]),
            (&"breakers.set".into(), &"sms".into())
        );
        assert_eq!(line["reason"], format!("why {mode}"));
        assert_eq!(line["details"], json!({"mode": mode, "for_s": 60}));
        assert_eq!(line["trace_id"], TRACE);
        assert!(line["at"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    assert!(lines.is_sorted_by(|one, other| one["at"].as_str() >= other["at"].as_str()));

    let first = service.get("/operations/audit?limit=3").await;
    assert_eq!(first["items"], json!(lines[..3]));
    let next = first["next_cursor"].as_str().unwrap();
    let rest = service.get(&format!("/operations/audit?limit=3&cursor={next}")).await;
    assert_eq!(rest, json!({"items": lines[3..], "next_cursor": null}));

    // Who does not say who they are is known by where they come from.
    assert_eq!(service.set("sms", json!({"mode": "on", "reason": "why"})).await.0, 204);
    assert_eq!(service.audit().await[0]["who"], "operator@127.0.0.1");
}

async fn input_that_is_no_good_sets_nothing_and_leaves_no_line(database: TestDatabase) {
    let service = Operated::start(database, |_| {}).await;
    let long = "x".repeat(501);
    let ours = json!({"mode": "forced_open", "reason": "why"});
    let with = |name: &str, value: Value| {
        let mut body = ours.clone();
        body[name] = value;
        body
    };
    for (body, status, pointers) in [
        (with("mode", "open".into()), 422, &["/mode"][..]),
        (with("mode", Value::Null), 422, &["/mode"]),
        (with("for_s", 0.into()), 422, &["/for_s"]),
        (with("for_s", (-1).into()), 422, &["/for_s"]),
        (with("for_s", 86_401.into()), 422, &["/for_s"]),
        (with("for_s", 1.5.into()), 422, &["/for_s"]),
        (with("for_s", json!(1e300)), 422, &["/for_s"]),
        (with("reason", "".into()), 422, &["/reason"]),
        (with("reason", long.clone().into()), 422, &["/reason"]),
        (with("reason", "a\u{1b}[2J".into()), 422, &["/reason"]),
        (with("until", 1.into()), 422, &["/until"]),
        (json!({"mode": "on"}), 422, &["/reason"]),
        (
            json!({"mode": "x", "for_s": 0, "reason": long}),
            422,
            &["/mode", "/for_s", "/reason"],
        ),
        (json!([1]), 422, &[""]),
        (with("reason", "x".repeat(70_000).into()), 413, &[]),
    ] {
        let (found, problem) = service.set("sms", body.clone()).await;
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let named: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!((found, &named[..]), (status, pointers), "{body}: {problem}");
    }
    let put = |body: &'static str| service.request(Method::PUT, "/operations/breakers/sms").body(body);
    let json = |request: RequestBuilder| request.header("content-type", "application/json");
    let good = r#"{"mode": "forced_open", "reason": "why"}"#;
    for (request, status) in [
        (json(put("{")), 400),
        (json(put("")), 400),
        (put(good), 415),
        (put(good).header("content-type", "text/plain"), 415),
        (json(put(good)).header("x-operator", "a\tb"), 400),
        (json(put(good)).header("x-operator", "x".repeat(101)), 400),
        (service.request(Method::GET, "/operations/audit?cursor=x"), 400),
        (service.request(Method::GET, "/operations/audit?limit=0"), 422),
    ] {
        let (found, problem) = answer(request).await;
        assert_eq!(found, status, "{problem}");
    }
    let (status, problem) = service.set("push", ours).await;
    assert_eq!((status, problem["type"].as_str()), (404, Some("/problems/not-found")));
    assert!(
        problem["detail"].as_str().unwrap().contains("/operations/breakers"),
        "{problem}"
    );
    assert_eq!(service.breaker().await["mode"], "on");
    assert!(service.audit().await.is_empty());
}

async fn an_action_whose_line_can_not_be_written_is_not_done(database: TestDatabase) {
    let service = Operated::start(database, |_| {}).await;
    let drop = "DROP TABLE operations_audit";
    service.database.unguarded().execute_unprepared(drop).await.unwrap();
    let request = service
        .request(Method::PUT, "/operations/breakers/sms")
        .json(&json!({"mode": "forced_open", "reason": "why"}));
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(service.breaker().await["mode"], "on");
}
