//! One gateway of a test's own: port 0, its own database, a broker in memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::Timestamp;
use common::config::Service;
use common::database::Database;
use common::http::KeyPair;
use common::http::claims::{Claims, ISSUER};
use common::http::keys::Jwk;
use common::messaging::{
    Broker, Change, Changes, Consumer, ConsumerOptions, Intake, Message, OutboundMessage, Rejection,
};
use common::process::Tasks;
use common::telemetry::Metrics;
use common::telemetry::TraceContext;
use contracts::events::{EmailSent, Person, UserRegistered, UserUpdated};
use contracts::topology::EMAIL_WORKER_EVENTS;
use contracts::{Event, EventData};
use jsonwebtoken::{Algorithm, Header, encode};
use migrations::{MigratorTraitSelf, Owner};
use notification_gateway::{Backends, Running, Settings, start};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use test_support::{FaultProxy, PrivatePostgres, TestDatabase};
use uuid::Uuid;

use crate::provider::Provider;

/// No step takes near so long; a busy machine may.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// One who signs tokens: the name of the key, and its secret.
pub(crate) struct Signer(&'static str, [u8; 32]);
pub(crate) const FIRST: Signer = Signer("first", [1; 32]);
pub(crate) const SECOND: Signer = Signer("second", [2; 32]);

impl Signer {
    pub(crate) fn public(&self) -> Jwk {
        let public = KeyPair::of(self.1).public();
        Jwk::ed25519(self.0.to_owned(), BASE64_URL_SAFE_NO_PAD.encode(public))
    }

    /// A token of `user`, good for so many seconds from now.
    pub(crate) fn token(&self, user: Uuid, seconds: i64) -> String {
        let now = Timestamp::now().as_seconds();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: ISSUER.into(),
            sub: user,
            sid: Some(Uuid::now_v7()),
            scope: None,
            roles: vec![],
            iat: now,
            exp: now + seconds,
        };
        let header = Header {
            kid: Some(self.0.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, &claims, &KeyPair::of(self.1).signing().unwrap()).unwrap()
    }
}

/// A database that lives as long as the test.
pub(crate) struct Backend {
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    _kept: Option<TestDatabase>,
}

impl Backend {
    pub(crate) async fn postgres() -> Self {
        let kept = TestDatabase::postgres().await;
        let url = kept.url().to_owned();
        Self::at(&url, Some(kept)).await
    }

    pub(crate) async fn sqlite() -> Self {
        let kept = TestDatabase::sqlite();
        let url = kept.url().to_owned();
        Self::at(&url, Some(kept)).await
    }

    /// On a server that the test breaks, and keeps.
    pub(crate) async fn breakable(postgres: &PrivatePostgres) -> Self {
        Self::at(&postgres.url(), None).await
    }

    /// On PostgreSQL by way of a proxy.
    pub(crate) async fn by_proxy() -> (FaultProxy, Self) {
        let kept = TestDatabase::postgres().await;
        let way = FaultProxy::before(kept.url()).await;
        let backend = Self::at(&way.url(kept.url()), Some(kept)).await;
        (way, backend)
    }

    /// What the row of a person's SMS keeps of the last failed try.
    pub(crate) async fn sms_error(&self, user: Uuid) -> String {
        let select = format!("SELECT last_error FROM deliveries WHERE channel = 'sms' AND recipient = '{user}'");
        let connection = self.database.unguarded();
        let statement = Statement::from_string(connection.get_database_backend(), select);
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "last_error").unwrap()
    }

    /// Status and attempts of a person's SMS.
    pub(crate) async fn sms(&self, user: Uuid) -> (String, i32) {
        let select = format!("SELECT status, attempts FROM deliveries WHERE channel = 'sms' AND recipient = '{user}'");
        let connection = self.database.unguarded();
        let statement = Statement::from_string(connection.get_database_backend(), select);
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        (row.try_get("", "status").unwrap(), row.try_get("", "attempts").unwrap())
    }

    async fn at(url: &str, kept: Option<TestDatabase>) -> Self {
        let mut settings = Settings::for_tests();
        settings.database.url = url.to_owned().into();
        settings.database.max_connections = 8;
        settings.dispatch.retry_delays = vec![Duration::from_millis(200)];
        // Long enough that a busy machine is not taken for a slow provider.
        settings.own.providers.sms.try_timeout = Duration::from_secs(1);
        settings.own.providers.sms.call_timeout = Duration::from_secs(4);
        let database = Database::connect(&settings, Service::NotificationGateway)
            .await
            .unwrap();
        if database.is_postgres() {
            let schema = "CREATE SCHEMA notification_gateway";
            database.unguarded().execute_unprepared(schema).await.unwrap();
        }
        let migrations = migrations::of(Owner::NotificationGateway);
        migrations.up(database.unguarded(), None).await.unwrap();
        Self {
            settings,
            database,
            _kept: kept,
        }
    }
}

/// Stands where email-worker would: a publish in memory waits for every bound queue.
struct EmailWorker;

impl Intake for EmailWorker {
    async fn take(&self, _: &Message, _: &mut Change) -> Result<(), Rejection> {
        Ok(())
    }
}

/// A gateway that runs, and what surrounds it.
pub(crate) struct TestApp {
    pub(crate) provider: Provider,
    pub(crate) tasks: Tasks,
    pub(crate) running: Running,
    broker: Broker,
    client: reqwest::Client,
}

impl TestApp {
    pub(crate) async fn start(backend: &Backend) -> Self {
        let provider = Provider::start();
        provider.publishes(vec![FIRST.public()]);
        Self::beside(backend, provider).await
    }

    pub(crate) async fn beside(backend: &Backend, provider: Provider) -> Self {
        let way = provider.address;
        Self::by_way_of(way, backend, provider).await
    }

    /// Everything that the gateway calls is called by way of a proxy.
    pub(crate) async fn by_way_of(way: SocketAddr, backend: &Backend, provider: Provider) -> Self {
        let mut settings = backend.settings.clone();
        settings.own.auth.jwks_url = format!("http://{way}/jwks");
        settings.own.providers.sms.url = format!("http://{way}");
        let (tasks, broker) = (Tasks::new(Service::NotificationGateway), Broker::memory());
        let metrics = Metrics::new(Service::EmailWorker);
        let consumer = Consumer {
            queue: EMAIL_WORKER_EVENTS,
            intake: EmailWorker,
            changes: Changes::new(Service::EmailWorker, backend.database.clone()),
            options: ConsumerOptions::new(&settings),
        };
        broker.consume(consumer, &metrics, &tasks);
        let running = start(
            settings,
            Backends {
                broker: Some(broker.clone()),
            },
            tasks.clone(),
        )
        .await
        .unwrap();
        Self {
            provider,
            tasks,
            running,
            broker,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) async fn publish<T: EventData>(&self, source: Service, event: &Event<T>) {
        let message = OutboundMessage::of(source, event, TraceContext::current()).unwrap();
        let handled = tokio::time::timeout(DEADLINE, self.broker.publish(message));
        handled.await.expect("the event is handled in time").unwrap();
    }

    /// Publishes `user.registered.v1`; answers with the event.
    pub(crate) async fn sign_up(&self, phone: Option<&str>) -> Event<UserRegistered> {
        let event = registered(Uuid::now_v7(), phone);
        self.publish(Service::UserApi, &event).await;
        event
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_address)
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, user: Uuid, path: &str) -> (u16, Value) {
        self.send(
            self.request(reqwest::Method::GET, path)
                .bearer_auth(FIRST.token(user, 60)),
        )
        .await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null),
        )
    }

    /// Begins a request to the operations port.
    pub(crate) fn operations(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.running.operations_address);
        self.client.request(method, url)
    }

    /// The text of its metrics.
    pub(crate) async fn metrics(&self) -> String {
        let metrics = self.operations(reqwest::Method::GET, "/metrics").send().await.unwrap();
        metrics.text().await.unwrap()
    }

    pub(crate) async fn readyz(&self) -> (u16, Value) {
        self.send(self.operations(reqwest::Method::GET, "/readyz")).await
    }

    /// The person's notifications, once they are as a test waits for.
    pub(crate) async fn notifications(&self, user: Uuid, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let found = self.until(user, "/v1/notifications", |body| {
            body["items"].as_array().is_some_and(|items| holds(items))
        });
        found.await["items"].as_array().unwrap().clone()
    }

    /// The one delivery of the person's newest notification over `channel`, once it is as a test waits for.
    pub(crate) async fn delivery(&self, user: Uuid, channel: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let items = self.notifications(user, |items| !items.is_empty()).await;
        let path = format!("/v1/notifications/{}/deliveries", items[0]["id"].as_str().unwrap());
        let of_channel = |body: &Value| {
            body["items"]
                .as_array()
                .and_then(|all| all.iter().find(|one| one["channel"] == channel).cloned())
        };
        let body = self
            .until(user, &path, |body| of_channel(body).as_ref().is_some_and(&holds))
            .await;
        of_channel(&body).unwrap()
    }

    async fn until(&self, user: Uuid, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (_, body) = self.get(user, path).await;
            if holds(&body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} stays {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn registered(user: Uuid, phone: Option<&str>) -> Event<UserRegistered> {
    let person = Person {
        user_id: user,
        phone: phone.map(Into::into),
        ..Person::example()
    };
    Event::new(user, Timestamp::now().to_offset(), UserRegistered { person })
}

/// The same person in another version of their account.
pub(crate) fn updated(person: &Person, version: i64, change: impl FnOnce(&mut Person)) -> Event<UserUpdated> {
    let mut person = person.clone();
    person.version = version;
    change(&mut person);
    Event::new(person.user_id, Timestamp::now().to_offset(), UserUpdated { person })
}

/// What email-worker says after it sent the mail that `cause` asked for.
pub(crate) fn email_sent(cause: &Event<UserRegistered>) -> Event<EmailSent> {
    let data = EmailSent {
        email_id: Uuid::now_v7(),
        user_id: cause.data.person.user_id,
        source_event_id: cause.id,
        ..EmailSent::example()
    };
    Event::new(cause.data.person.user_id, Timestamp::now().to_offset(), data)
}

/// `{"in_app": "delivered", ..}` of a notification.
pub(crate) fn channels(expected: &[(&str, &str)]) -> Value {
    expected.iter().fold(json!({}), |mut all, (channel, status)| {
        all[channel] = json!(status);
        all
    })
}

/// Runs each test of a file on PostgreSQL and on `SQLite`.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[actix_web::test] async fn $name() { super::$name(crate::app::Backend::postgres().await).await; })*
        }
        mod sqlite {
            $(#[actix_web::test] async fn $name() { super::$name(crate::app::Backend::sqlite().await).await; })*
        }
    };
}
pub(crate) use on_both_databases;
