use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mail_parser::MessageParser;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use serde_json::json;
use test_support::{Folder, OtlpReceiver, Port, Process, ProcessBuilder, Span, SpanKind, Stream, eventually};
use tokio::net::TcpListener;

use crate::client::{Client, PATIENCE, wait_until};
use crate::stack::run;

/// `waypost run` in a folder and on ports of its own, which outlive the process.
pub(crate) struct Embedded {
    pub(crate) folder: Folder,
    ports: Vec<Port>,
    pub(crate) otlp: OtlpReceiver,
    /// Settings beside the usual ones.
    pub(crate) settings: Vec<(String, String)>,
}

impl Embedded {
    pub(crate) fn prepare() -> Self {
        Self {
            folder: Folder::create(),
            ports: (0..6).map(|_| Port::reserve()).collect(),
            otlp: OtlpReceiver::start(),
            settings: Vec::new(),
        }
    }

    pub(crate) fn at(&self, index: usize) -> String {
        format!("127.0.0.1:{}", self.ports[index].number())
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("PROFILE", "test".to_owned()),
            ("TELEMETRY__OTLP_ENDPOINT", self.otlp.endpoint()),
            ("USER_API__HTTP__ADDRESS", self.at(0)),
            ("USER_API__OPERATIONS__ADDRESS", self.at(1)),
            ("NOTIFICATION_GATEWAY__HTTP__ADDRESS", self.at(2)),
            ("NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS", self.at(3)),
            ("EMAIL_WORKER__OPERATIONS__ADDRESS", self.at(4)),
            ("PROVIDER_SANDBOX__HTTP__ADDRESS", self.at(5)),
        ]
        .map(|(key, value)| (format!("WAYPOST__{key}"), value))
        .into_iter()
        .chain(self.settings.clone())
        .collect()
    }

    pub(crate) fn program(&self) -> ProcessBuilder {
        run("waypost", &self.environment())
            .arg("run")
            .folder(self.folder.path())
    }

    pub(crate) async fn start(&self) -> Process {
        let process = self.program().spawn();
        process.writes("Waypost is up", PATIENCE).await;
        process
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.at(0), &self.at(2))
    }

    pub(crate) fn mails(&self) -> BTreeMap<String, usize> {
        mails_in(&self.folder.join(".waypost/mail"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_journey_runs_in_one_process_without_any_server() {
    const TRACE: &str = "1af7651916cd43dd8448eb211c80319c";
    let embedded = Embedded::prepare();
    let mut process = embedded.start().await;
    let client = embedded.client();
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let (status, user) = client
        .sign_up_with("ada@example.com", json!({"phone": "+15550100"}), Some(&traceparent))
        .await
        .unwrap();
    assert_eq!(status, 201, "{user}");
    let token = client.log_in("ada@example.com").await;
    assert!(client.stream(&token).await.next().await.is_some());
    eventually(PATIENCE, || async {
        embedded.mails().get("ada@example.com") == Some(&1)
    })
    .await;
    eventually(PATIENCE, || async {
        let list = client.notifications(&token).await;
        let channels = list.first().map(|one| one["channels"].clone()).unwrap_or_default();
        channels["email"].is_string()
            && channels["email"] != "pending"
            && ["accepted", "delivered"].iter().any(|end| channels["sms"] == *end)
    })
    .await;
    for service in ["user-api", "email-worker", "notification-gateway"] {
        // Its statements have their spans on SQLite too.
        let asks = |span: &Span| {
            span.service == service
                && span.kind == SpanKind::Client
                && span
                    .attributes
                    .get("db.system.name")
                    .is_some_and(|system| system == "sqlite")
        };
        embedded.otlp.wait_for(TRACE, PATIENCE, asks).await;
    }
    let is_call = |span: &Span| span.name == "POST" && span.service == "notification-gateway";
    embedded.otlp.wait_for(TRACE, PATIENCE, is_call).await;
    process.terminate();
    let status = process.exit(Duration::from_secs(10)).await;
    assert!(status.success(), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_process_killed_in_the_middle_of_50_sign_ups_goes_on_with_nothing_lost() {
    let embedded = Embedded::prepare();
    let mut process = embedded.start().await;
    let client = embedded.client();
    let names: Vec<String> = (0..50).map(|n| format!("person{n}@example.com")).collect();
    for name in &names[..25] {
        assert_eq!(client.sign_up(name).await.unwrap().0, 201);
    }
    // The kill falls while these are on their way; whoever got no answer asks again later.
    let rest = futures_util::future::join_all(names[25..].iter().map(|name| client.sign_up(name)));
    let kill = async {
        eventually(PATIENCE, || async { !embedded.mails().is_empty() }).await;
        process.kill();
    };
    tokio::join!(rest, kill);
    let mailed_at_kill = embedded.mails().len();
    let mut process = embedded.start().await;
    for name in &names {
        let (status, body) = client.sign_up(name).await.unwrap();
        assert!(status == 201 || status == 409, "{body}");
    }

    eventually(PATIENCE, || async { embedded.mails().len() == names.len() }).await;
    let doubled: Vec<_> = embedded.mails().into_iter().filter(|(_, count)| *count > 1).collect();
    let mut notifications = 0;
    for name in &names {
        let token = client.log_in(name).await;
        eventually(PATIENCE, || async { !client.notifications(&token).await.is_empty() }).await;
        notifications += client.notifications(&token).await.len();
    }
    println!(
        "killed with {mailed_at_kill} mails out: mails {}, doubled {}, notifications {notifications}",
        names.len(),
        doubled.len()
    );
    assert!(doubled.is_empty(), "{doubled:?}");
    assert_eq!(notifications, names.len());
    process.terminate();
    assert!(
        process.exit(Duration::from_secs(10)).await.success(),
        "{}",
        process.output()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_main_thread_hangs_is_ended_when_its_time_is_over() {
    let embedded = Embedded::prepare();
    // It hangs in telling where it listens, which nobody reads.
    let mut process = embedded
        .program()
        .env("WAYPOST__PROCESS__DRAIN_MS", "500")
        .env("WAYPOST__PROCESS__SHUTDOWN_MS", "1500")
        .stalled(Stream::Stdout)
        .spawn();
    // The last one that starts before it.
    wait_until(&embedded.at(4), "up").await;
    process.terminate();
    let status = process.exit(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(1), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_the_start_still_waits_for_the_database() {
    let embedded = Embedded::prepare();
    // It takes connections and says nothing.
    let database = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://postgres@{}/postgres", database.local_addr().unwrap());
    let mut process = embedded.program().env("WAYPOST__DATABASE__URL", url).spawn();
    let _waiting = tokio::time::timeout(PATIENCE, database.accept())
        .await
        .unwrap()
        .unwrap();
    process.terminate();
    let status = process.exit(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_file_locked_for_longer_than_the_ladder_costs_no_mail_nor_does_a_kill_meanwhile() {
    let mut embedded = Embedded::prepare();
    embedded.settings = vec![
        ("WAYPOST__BROKER__RETRY_DELAYS_MS".to_owned(), "100,200".to_owned()),
        ("WAYPOST__BROKER__HANDLER_TIMEOUT_MS".to_owned(), "1000".to_owned()),
    ];
    let mut process = embedded.start().await;
    let client = embedded.client();
    let mut names: Vec<String> = Vec::new();
    for killed in [true, false] {
        let locked = Lock::of(&embedded.folder.join(".waypost/waypost-email-worker.db")).await;
        for _ in 0..20 {
            let name = format!("locked{}@example.com", names.len());
            assert_eq!(client.sign_up(&name).await.unwrap().0, 201);
            names.push(name);
        }
        // Ten times the ladder.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (status, readiness) = crate::client::readiness(&embedded.at(4)).await.unwrap();
        assert_eq!(
            (status, &readiness["dependencies"]["consumer"]),
            (200, &json!("degraded"))
        );
        if killed {
            process.kill();
        }
        locked.end().await;
        if killed {
            process = embedded.start().await;
        }
        eventually(PATIENCE, || async { embedded.mails().len() == names.len() }).await;
    }
    let doubled: Vec<_> = embedded.mails().into_iter().filter(|(_, count)| *count > 1).collect();
    println!(
        "file locked twice: sent {}, received {}, lost 0, doubled {}",
        names.len(),
        embedded.mails().len(),
        doubled.len()
    );
    assert!(doubled.is_empty(), "{doubled:?}");
    process.terminate();
    let status = process.exit(Duration::from_secs(10)).await;
    assert!(status.success(), "{}", process.output());
}

/// The write lock of a database file, as somebody's backup or shell may hold it.
struct Lock(DatabaseConnection);

impl Lock {
    async fn of(file: &Path) -> Self {
        let mut options = ConnectOptions::new(format!("sqlite://{}", file.display()));
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options).await.unwrap();
        connection.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        Self(connection)
    }

    async fn end(self) {
        self.0.execute_unprepared("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Finished mails in a folder, by recipient.
fn mails_in(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return counts;
    };
    for entry in entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "eml"))
    {
        let bytes = std::fs::read(entry.path()).unwrap();
        let mail = MessageParser::default().parse_headers(&bytes).unwrap();
        let to = mail
            .to()
            .and_then(|to| to.first())
            .and_then(|to| to.address())
            .unwrap()
            .to_owned();
        *counts.entry(to).or_insert(0) += 1;
    }
    counts
}
