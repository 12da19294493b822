//! A broker, a database, and a worker where a test wants one; the command beside them.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use test_support::{
    AmqpClient, AmqpLetter, AmqpMessage, Folder, Namespace, OtlpReceiver, Process, ProcessBuilder, SmtpReceiver,
    TestDatabase, amqp_url, eventually,
};
use uuid::Uuid;

use crate::client::PATIENCE;
use crate::stack::{finish, run};

pub(crate) const MAILS: &str = "email-worker.events";
pub(crate) const GATEWAY: &str = "notification-gateway.events";
pub(crate) const FIRST_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Longest that one command may take, on a machine that builds beside.
pub(crate) const COMMAND: Duration = Duration::from_mins(3);

/// What a command came to.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
}

impl Ended {
    /// The lines that are JSON objects.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let lines = self.output.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The effects that a replay told.
    pub(crate) fn effects(&self) -> Vec<String> {
        let effects = self.objects().into_iter();
        effects
            .map(|told| told["effect"].as_str().unwrap().to_owned())
            .collect()
    }

    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.output);
        self
    }
}

pub(crate) struct Scene {
    pub(crate) broker: AmqpClient,
    pub(crate) smtp: SmtpReceiver,
    pub(crate) otlp: OtlpReceiver,
    pub(crate) database: TestDatabase,
    namespace: Namespace,
    environment: Vec<(String, String)>,
    folder: Folder,
}

impl Scene {
    /// The broker with all queues, the database with all tables, and nobody who works.
    pub(crate) async fn prepare() -> Self {
        let database = TestDatabase::postgres().await;
        let (smtp, otlp, namespace) = (SmtpReceiver::start().await, OtlpReceiver::start(), Namespace::unique());
        let environment = [
            ("PROFILE", "test".to_owned()),
            ("DATABASE__URL", database.url().to_owned()),
            ("BROKER__URL", amqp_url()),
            ("BROKER__NAMESPACE", namespace.name().to_owned()),
            ("BROKER__RETRY_DELAYS_MS", "100,200".to_owned()),
            ("MAIL__URL", smtp.url()),
            ("TELEMETRY__OTLP_ENDPOINT", otlp.endpoint()),
            ("EMAIL_WORKER__OPERATIONS__ADDRESS", "127.0.0.1:0".to_owned()),
        ];
        let environment = environment
            .map(|(key, value)| (format!("WAYPOST__{key}"), value))
            .to_vec();
        let scene = Self {
            broker: AmqpClient::connect(&amqp_url()).await,
            smtp,
            otlp,
            database,
            namespace,
            environment,
            folder: Folder::create(),
        };
        finish(scene.program("migrate").spawn()).await;
        // The command declares what is missing.
        scene.dlq("list").await.ends(0);
        scene
    }

    pub(crate) async fn worker(&self) -> Process {
        let worker = run("email-worker", &self.environment)
            .folder(self.folder.path())
            .spawn();
        worker.writes("email-worker is up", PATIENCE).await;
        worker
    }

    pub(crate) fn program(&self, arguments: &str) -> ProcessBuilder {
        let command = run("waypost", &self.environment).folder(self.folder.path());
        arguments.split_whitespace().fold(command, ProcessBuilder::arg)
    }

    /// Runs `waypost dlq` with these arguments to its end.
    pub(crate) async fn dlq(&self, arguments: &str) -> Ended {
        ended(self.program(&format!("dlq {arguments}"))).await
    }

    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Empties a queue's dead letters.
    pub(crate) async fn purge(&self, queue: &str) {
        self.broker.purge_queue(&self.name(&format!("{queue}.dead"))).await;
    }

    pub(crate) fn name(&self, queue: &str) -> String {
        format!("{}.{queue}", self.namespace.name())
    }

    /// Puts a message into a queue's dead letters, as the worker does.
    pub(crate) async fn bury(&self, queue: &str, message: &AmqpMessage) {
        let exchange = self.name("waypost.dead");
        self.broker.publish(&exchange, &self.name(queue), message).await;
    }

    /// How many wait in a queue's dead letters.
    pub(crate) async fn dead(&self, queue: &str) -> u32 {
        self.broker.depth(&self.name(&format!("{queue}.dead"))).await
    }

    pub(crate) async fn are_dead(&self, queue: &str, count: u32) {
        eventually(PATIENCE, async || self.dead(queue).await == count).await;
    }

    /// Takes all that waits in a work queue.
    pub(crate) async fn taken(&self, queue: &str) -> Vec<AmqpLetter> {
        self.broker.take(&self.name(queue)).await
    }

    /// The first column of what a query finds, which must be text.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let connection = self.database.connect().await;
        let statement = Statement::from_string(DbBackend::Postgres, query);
        let rows = connection.query_all_raw(statement).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    pub(crate) async fn publish(&self, message: &AmqpMessage) {
        let exchange = self.name("waypost.events");
        self.broker.publish(&exchange, "user.registered.v1", message).await;
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(command: ProcessBuilder) -> Ended {
    let mut command = command.spawn();
    let status = command.exit(COMMAND).await;
    Ended {
        code: status.code(),
        output: command.output(),
    }
}

/// A sign-up as its service publishes it, and its id.
pub(crate) fn registered(email: &str) -> (Uuid, AmqpMessage) {
    let (id, user) = (Uuid::now_v7(), Uuid::now_v7());
    let body = json!({
        "user_id": user, "version": 1, "email": email, "name": "Ada", "locale": "en", "status": "active",
    });
    let headers = [
        ("cloudEvents_specversion", "1.0".to_owned()),
        ("cloudEvents_id", id.to_string()),
        ("cloudEvents_source", "user-api".to_owned()),
        ("cloudEvents_type", "user.registered.v1".to_owned()),
        ("cloudEvents_time", "2026-01-01T00:00:00Z".to_owned()),
        ("cloudEvents_subject", user.to_string()),
        ("traceparent", format!("00-{FIRST_TRACE}-b7ad6b7169203331-01")),
    ];
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
    let message = AmqpMessage {
        content_type: Some("application/json".to_owned()),
        headers: headers.collect(),
        body: body.to_string().into_bytes(),
    };
    (id, message)
}

/// The same, as it is set aside: why, when, after how many attempts.
pub(crate) fn dead(email: &str, reason: &str, time: &str) -> (Uuid, AmqpMessage) {
    let (id, mut message) = registered(email);
    for (name, value) in [
        ("waypost-reason", reason),
        ("waypost-failed-at", time),
        ("waypost-attempt", "3"),
        ("waypost-first-error", "the first one"),
        ("waypost-last-error", "the last one"),
    ] {
        message.headers.insert(name.to_owned(), value.into());
    }
    (id, message)
}
