//! The service as a test meets it: on a port of its own, with a database and a key prefix of its own.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{config::Service, database::Database, messaging::Broker, process::Tasks, store::CacheOptions};
use migrations::{MigratorTraitSelf, Owner};
use reqwest::{Client, RequestBuilder, header::HeaderMap};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use test_support::{FaultProxy, Namespace, TestDatabase, eventually, redis_url};
use user_api::{Backends, Running, Settings, start};

/// No step takes near so long; a busy machine may.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// What the replicas of one deployment share.
struct Shared {
    _database: Option<TestDatabase>,
    _prefix: Namespace,
}

/// One replica of the service.
pub(crate) struct TestApp {
    pub(crate) settings: Settings,
    running: Running,
    tasks: Tasks,
    client: Client,
    shared: Arc<Shared>,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The slug of the problem that this is.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["trace_id"].as_str().unwrap().len(), 32);
        problem["type"]
            .as_str()
            .unwrap()
            .strip_prefix("/problems/")
            .unwrap()
            .to_owned()
    }

    /// The body with everything that differs from run to run replaced by its name.
    pub(crate) fn snapshot(&self) -> Value {
        let mut body = self.json();
        for name in [
            "id",
            "created_at",
            "updated_at",
            "access_token",
            "session_id",
            "trace_id",
            "instance",
        ] {
            if let Some(value) = body.get_mut(name) {
                *value = json!(format!("[{name}]"));
            }
        }
        body
    }
}

/// A sign-up that keeps every rule.
pub(crate) fn ada() -> Value {
    json!({
        "email": "Ada@example.com",
        "name": "Ada Lovelace",
        "password": "correct horse battery",
        "locale": "zh-CN",
        "phone": "+447700900123",
        "time_zone": "Europe/London",
    })
}

/// Both sets of backends under each point.
macro_rules! on_both {
    ($($point:ident),+ $(,)?) => {
        mod servers { $(#[tokio::test(flavor = "multi_thread")] async fn $point() { super::$point(super::TestApp::start().await).await; })+ }
        mod embedded { $(#[tokio::test(flavor = "multi_thread")] async fn $point() { super::$point(super::TestApp::start_embedded().await).await; })+ }
    };
}
pub(crate) use on_both;

/// The entity tag of an account's version.
pub(crate) fn tag(id: &str, version: u32) -> String {
    format!("\"{}-{version}\"", id.replace('-', ""))
}

impl TestApp {
    /// On PostgreSQL and Redis.
    pub(crate) async fn start() -> Self {
        Self::start_on(TestDatabase::postgres().await, |_| {}).await
    }

    /// In one process with no server: SQLite and memory.
    pub(crate) async fn start_embedded() -> Self {
        let database = TestDatabase::sqlite();
        Self::start_on(database, |settings| settings.store.url = "memory://".to_owned().into()).await
    }

    /// On `database`, with other settings than usual.
    pub(crate) async fn start_on(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        let prefix = Namespace::unique();
        let mut settings = settings(database.url(), prefix.name());
        change(&mut settings);
        migrate(&settings).await;
        let shared = Shared {
            _database: Some(database),
            _prefix: prefix,
        };
        let app = Self::launch(settings, Some(Broker::memory()), Arc::new(shared)).await;
        app.until_ready().await;
        app
    }

    /// On PostgreSQL and Redis, with nothing kept in the process.
    pub(crate) async fn start_without_a_layer_in_process() -> Self {
        let app = Self::start().await;
        let cache = CacheOptions {
            in_process_bytes: 0,
            ..CacheOptions::default()
        };
        let backends = Backends {
            broker: Some(Broker::memory()),
            cache,
            ..Backends::default()
        };
        let alone = Self::launch_with(app.settings.clone(), backends, Arc::clone(&app.shared)).await;
        app.stop().await;
        alone.until_ready().await;
        alone
    }

    /// With exactly these settings; the database may be away.
    pub(crate) async fn start_with(settings: Settings, broker: Option<Broker>) -> Self {
        let shared = Shared {
            _database: None,
            _prefix: Namespace::unique(),
        };
        Self::launch(settings, broker, Arc::new(shared)).await
    }

    /// Another replica of the same deployment.
    pub(crate) async fn replica(&self) -> Self {
        self.replica_with(|_| {}).await
    }

    /// Another replica of the same deployment, with other settings.
    pub(crate) async fn replica_with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let shared = Arc::clone(&self.shared);
        let mut settings = self.settings.clone();
        change(&mut settings);
        let replica = Self::launch(settings, Some(Broker::memory()), shared).await;
        replica.until_ready().await;
        replica
    }

    async fn launch(settings: Settings, broker: Option<Broker>, shared: Arc<Shared>) -> Self {
        let backends = Backends {
            broker,
            ..Backends::default()
        };
        Self::launch_with(settings, backends, shared).await
    }

    async fn launch_with(settings: Settings, backends: Backends, shared: Arc<Shared>) -> Self {
        let tasks = Tasks::new(Service::UserApi);
        let running = Box::pin(start(settings.clone(), backends, tasks.clone()))
            .await
            .unwrap();
        Self {
            settings,
            running,
            tasks,
            client: Client::builder().timeout(SOON).build().unwrap(),
            shared,
        }
    }

    async fn until_ready(&self) {
        eventually(SOON, async || self.readiness().await.json()["status"] == "up").await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.http_address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_address)
    }

    pub(crate) async fn sign_up(&self, body: &Value) -> Answer {
        send(self.client.post(self.url("/v1/users")).json(body)).await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        send(self.client.post(self.url("/v1/sessions")).json(&body)).await
    }

    pub(crate) async fn read_user(&self, id: &str, token: &str) -> Answer {
        self.get(&format!("/v1/users/{id}"), Some(token)).await
    }

    pub(crate) async fn read_user_unless(&self, id: &str, token: &str, etag: &str) -> Answer {
        let request = self.client.get(self.url(&format!("/v1/users/{id}")));
        send(request.bearer_auth(token).header("if-none-match", etag)).await
    }

    /// Changes an account that stands in the version of `etag`.
    pub(crate) async fn change_user(&self, (id, token): (&str, &str), etag: &str, patch: &Value) -> Answer {
        let request = self.client.patch(self.url(&format!("/v1/users/{id}")));
        let request = request.header("content-type", "application/merge-patch+json");
        send(
            request
                .bearer_auth(token)
                .header("if-match", etag)
                .body(patch.to_string()),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let request = self.client.get(self.url(path));
        send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    /// Posts bytes as they are.
    pub(crate) async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(self.url(path));
        send(request.header("content-type", content_type).body(body)).await
    }

    pub(crate) async fn send(&self, build: impl FnOnce(&Client) -> RequestBuilder) -> Answer {
        send(build(&self.client)).await
    }

    pub(crate) async fn readiness(&self) -> Answer {
        let url = format!("http://{}/readyz", self.running.operations_address);
        send(self.client.get(url)).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.running.operations_address);
        send(self.client.get(url)).await.text
    }

    /// Signs Ada up and logs her in: her id and a token.
    pub(crate) async fn ada_logged_in(&self) -> (String, String) {
        let signed_up = self.sign_up(&ada()).await;
        assert_eq!(signed_up.status, 201, "{}", signed_up.text);
        let logged_in = self.log_in("ada@example.com", "correct horse battery").await;
        assert_eq!(logged_in.status, 201, "{}", logged_in.text);
        let text = |answer: &Answer, field: &str| answer.json()[field].as_str().unwrap().to_owned();
        (text(&signed_up, "id"), text(&logged_in, "access_token"))
    }

    /// Runs one statement in the service's own schema.
    pub(crate) async fn execute(&self, statement: &str) {
        self.inside().await.execute_unprepared(statement).await.unwrap();
    }

    /// Counts the rows of a table of the service.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let count = format!("SELECT count(*) AS n FROM {table}");
        self.query(&count, "n").await
    }

    /// The first row's column of a query in the service's own schema.
    pub(crate) async fn query<T: sea_orm::TryGetable>(&self, query: &str, column: &str) -> T {
        let inside = self.inside().await;
        let statement = Statement::from_string(inside.get_database_backend(), query);
        let row = inside.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", column).unwrap()
    }

    /// A connection into the service's own schema.
    pub(crate) async fn inside(&self) -> DatabaseConnection {
        let database = Database::connect(&self.settings, Service::UserApi).await.unwrap();
        database.unguarded().clone()
    }

    /// Ends the service as SIGTERM would.
    pub(crate) async fn stop(&self) -> Duration {
        let begun = Instant::now();
        self.tasks.shut_down(SOON).await.unwrap();
        begun.elapsed()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

pub(crate) fn settings(database: &str, prefix: &str) -> Settings {
    let mut settings = Settings::for_tests();
    settings.database.url = database.to_owned().into();
    settings.database.max_connections = 5;
    settings.store.url = redis_url().into();
    // A busy machine must not look like a Redis that hangs.
    settings.store.response_timeout = Duration::from_secs(5);
    prefix.clone_into(&mut settings.store.prefix);
    settings
}

/// Makes the tables, as `waypost migrate` does.
pub(crate) async fn migrate(settings: &Settings) {
    let database = Database::connect(settings, Service::UserApi).await.unwrap();
    if database.unguarded().get_database_backend() == DbBackend::Postgres {
        let schema = "CREATE SCHEMA IF NOT EXISTS user_api";
        database.unguarded().execute_unprepared(schema).await.unwrap();
    }
    let migrations = migrations::of(Owner::UserApi);
    migrations.up(database.unguarded(), None).await.unwrap();
    database.close().await;
}

async fn send(request: RequestBuilder) -> Answer {
    let begun = Instant::now();
    let again = request.try_clone();
    let response = match (request.send().await, again) {
        // Over a connection that was made and not used until the server cut it: on a busy machine that takes so long.
        (Err(error), Some(again)) if error.is_request() && !error.is_timeout() => again.send().await.unwrap(),
        (response, _) => response.unwrap(),
    };
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
        took: begun.elapsed(),
    }
}

/// The same database by way of a proxy, and the proxy.
pub(crate) async fn by_proxy(url: &str) -> (FaultProxy, String) {
    let proxy = FaultProxy::before(url).await;
    let by_proxy = proxy.url(url);
    (proxy, by_proxy)
}
