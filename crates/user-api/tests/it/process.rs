//! The binary itself, as a process of its own.

use std::time::{Duration, Instant};

use reqwest::Client;
use test_support::{
    Namespace, OtlpReceiver, Port, Process, ProcessBuilder, Span, SpanKind, TestDatabase, amqp_url, eventually,
    redis_url,
};

use crate::breached::{BREACHED, Sandbox};
use crate::test_app::{SOON, ada, migrate, settings};

/// A log-in of `Stand::sign_up`'s person.
const ADA: &str = r#"{"email": "ada@example.com", "password": "correct horse battery"}"#;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The statement of a sign-up.
const WHOLE: &str = "INSERT users INSERT outbox";

/// What one process of the service stands on.
struct Stand {
    database: TestDatabase,
    namespace: Namespace,
    http: Port,
    operations: Port,
    otlp: OtlpReceiver,
}

impl Stand {
    async fn new() -> Self {
        let database = TestDatabase::postgres().await;
        migrate(&settings(database.url(), "unused")).await;
        Self {
            database,
            namespace: Namespace::unique(),
            http: Port::reserve(),
            operations: Port::reserve(),
            otlp: OtlpReceiver::start(),
        }
    }

    fn program(&self) -> ProcessBuilder {
        self.settings(Process::run(env!("CARGO_BIN_EXE_user-api")))
    }

    /// By `env`, which is told what the process does with a signal that whoever runs the tests may have changed.
    fn program_by(&self, signal: &str) -> ProcessBuilder {
        self.settings(Process::run("env").arg(signal).arg(env!("CARGO_BIN_EXE_user-api")))
    }

    fn settings(&self, program: ProcessBuilder) -> ProcessBuilder {
        let address = |port: &Port| format!("127.0.0.1:{}", port.number());
        program
            .folder(&std::env::temp_dir())
            .env("WAYPOST__PROFILE", "test")
            .env("WAYPOST__DATABASE__URL", self.database.url())
            .env("WAYPOST__STORE__URL", redis_url())
            .env("WAYPOST__BROKER__URL", amqp_url())
            .env("WAYPOST__BROKER__NAMESPACE", self.namespace.name())
            .env("WAYPOST__HTTP__ADDRESS", address(&self.http))
            .env("WAYPOST__OPERATIONS__ADDRESS", address(&self.operations))
            .env("WAYPOST__TELEMETRY__OTLP_ENDPOINT", self.otlp.endpoint())
    }

    async fn run(&self, program: ProcessBuilder) -> Process {
        let process = program.spawn();
        let ready = format!("http://127.0.0.1:{}/readyz", self.operations.number());
        let client = client();
        eventually(SOON, async || {
            let readiness = client.get(&ready).send().await.ok()?.text().await.ok()?;
            readiness.contains("\"status\":\"up\"").then_some(())
        })
        .await;
        process
    }

    async fn sign_up(&self) -> u16 {
        let url = format!("http://127.0.0.1:{}/v1/users", self.http.number());
        let request = client().post(url).json(&ada());
        let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
        request.send().await.unwrap().status().as_u16()
    }
}

fn client() -> Client {
    Client::builder().timeout(SOON).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_continues_the_caller_s_trace_up_to_the_broker() {
    let stand = Stand::new().await;
    let mut process = stand.run(stand.program()).await;
    assert_eq!(stand.sign_up().await, 201);
    let is_publish = |span: &Span| span.kind == SpanKind::Producer;
    let spans = stand.otlp.wait_for(TRACE, SOON, is_publish).await;
    process.terminate();
    assert_eq!(
        process.exit(Duration::from_secs(10)).await.code(),
        Some(0),
        "{}",
        process.output()
    );
    let server = spans.iter().find(|span| span.kind == SpanKind::Server).unwrap();
    assert_eq!(
        (server.name.as_str(), server.service.as_str()),
        ("POST /v1/users", "user-api")
    );
    assert_eq!(server.parent_id.as_deref(), Some(CALLER));
    for (name, kind) in [(WHOLE, SpanKind::Client), ("argon2id", SpanKind::Internal)] {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(
            (span.kind, span.parent_id.as_ref()),
            (kind, Some(&server.span_id)),
            "{name}"
        );
    }
    let is_statement = |span: &&Span| span.attributes.contains_key("db.system.name");
    let statements: Vec<&str> = spans
        .iter()
        .filter(is_statement)
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(statements, [WHOLE], "a sign-up is one statement");
    let publish = spans.iter().find(|span| is_publish(span)).unwrap();
    assert_eq!(
        publish.parent_id.as_ref(),
        Some(&server.span_id),
        "{}",
        stand.otlp.tree(TRACE)
    );
    assert!(
        stand.otlp.orphans(TRACE, Some(CALLER)).is_empty(),
        "{}",
        stand.otlp.tree(TRACE)
    );
    let output = process.output();
    for secret in ["correct horse", "Ada@example.com", "ada@example.com"] {
        assert!(!output.contains(secret), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breached_password_that_is_taken_is_said_and_not_shown() {
    let (stand, sandbox) = (Stand::new().await, Sandbox::start());
    let program = stand
        .program()
        .env("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL", sandbox.url())
        .env("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__TIMEOUT_MS", "5000")
        .env("WAYPOST__ACCOUNTS__BREACHED_PASSWORDS", "warn")
        .env("WAYPOST__TELEMETRY__LOG_FILTER", "debug");
    let mut process = stand.run(program).await;
    let mut person = ada();
    person["password"] = BREACHED.into();
    let url = format!("http://127.0.0.1:{}/v1/users", stand.http.number());
    let request = client().post(url).json(&person);
    let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    assert_eq!(request.send().await.unwrap().status(), 201);
    process.writes("a breached or common password was accepted", SOON).await;
    let is_call = |span: &Span| span.kind == SpanKind::Client && span.name == "GET";
    let spans = stand.otlp.wait_for(TRACE, SOON, is_call).await;
    process.terminate();
    assert_eq!(process.exit(Duration::from_secs(10)).await.code(), Some(0));
    let (output, spans) = (process.output(), format!("{spans:?}"));
    // The password, and what stands behind the five digits of its hash that the service is told.
    for secret in [BREACHED, "8D331301C7457B453399B90070D0A6ED9F4"] {
        for hidden in [secret, &secret.to_lowercase()] {
            assert!(!output.contains(hidden) && !spans.contains(hidden), "{output}\n{spans}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_and_a_terminal_that_goes_end_it_cleanly_too() {
    let stand = Stand::new().await;
    for ask in [Process::interrupt, Process::hang_up] {
        let mut process = stand.run(stand.program_by("--default-signal=HUP")).await;
        ask(&process);
        assert_eq!(
            process.exit(Duration::from_secs(10)).await.code(),
            Some(0),
            "{}",
            process.output()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn started_by_nohup_it_outlives_the_terminal() {
    let stand = Stand::new().await;
    for (started, is_ignored) in [("--ignore-signal=HUP", true), ("--default-signal=HUP", false)] {
        let process = stand.run(stand.program_by(started)).await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        assert_eq!(
            mask & 1 == 1,
            is_ignored,
            "{started}: SIGHUP is the first bit of {mask:x}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_it_is_and_takes_no_arguments() {
    for (arguments, code, said) in [
        (&["--version"][..], 0, env!("CARGO_PKG_VERSION")),
        (&["--help"], 0, "Usage: user-api"),
        (&["--port", "80"], 2, "Usage: user-api"),
        (&["serve"], 2, "Usage: user-api"),
    ] {
        let program = Process::run(env!("CARGO_BIN_EXE_user-api"));
        let mut process = arguments.iter().fold(program, ProcessBuilder::arg).spawn();
        assert_eq!(process.exit(SOON).await.code(), Some(code), "{arguments:?}");
        assert!(process.output().contains(said), "{arguments:?}: {}", process.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_in_memory_is_refused_between_processes() {
    let stand = Stand::new().await;
    let mut process = stand.program().env("WAYPOST__BROKER__URL", "memory://").spawn();
    assert_eq!(process.exit(SOON).await.code(), Some(1));
    assert!(process.output().contains("waypost run"), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_with_the_setting_s_name() {
    let stand = Stand::new().await;
    let _first = stand.run(stand.program()).await;
    let mut second = stand.program().spawn();
    assert_eq!(second.exit(SOON).await.code(), Some(1));
    assert!(second.output().contains("WAYPOST__USER_API__"), "{}", second.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn hashing_keeps_one_block_a_core_and_no_more() {
    const LOG_INS: usize = 4;
    // As many as find a place in the pool's queue, 64 at most.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let connections = 64.min(32 * cores);
    let stand = Stand::new().await;
    let dear = stand.program().env("WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB", "19456");
    let process = stand.run(dear.env("WAYPOST__ACCOUNTS__ARGON2__ITERATIONS", "2")).await;
    assert_eq!(stand.sign_up().await, 201);
    let before = resident(&process);
    let url = format!("http://127.0.0.1:{}/v1/sessions", stand.http.number());
    let (client, began) = (client(), Instant::now());
    let connection = async || {
        for _ in 0..LOG_INS {
            // Who is turned away, since too many hash at a time, comes again; on a busy machine for long.
            eventually(SOON * 4, async || {
                let request = client.post(&url).header("content-type", "application/json").body(ADA);
                let status = request.send().await.unwrap().status();
                assert!([201, 503].contains(&status.as_u16()), "{status}");
                status == 201
            })
            .await;
        }
    };
    futures_util::future::join_all((0..connections).map(|_| connection())).await;
    let (took, after) = (began.elapsed(), resident(&process));
    println!(
        "{} log-ins in {took:?}; resident {before} MB, then {after} MB",
        connections * LOG_INS
    );
    // 20 MB are one hash's; the rest is the connections, their requests and the database's.
    assert!(after <= before + 20 * cores + 20, "{before} MB became {after} MB");
}

/// Memory that the process holds, in megabytes.
fn resident(process: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024 / 1_000_000
}
