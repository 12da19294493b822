//! Clients that ask and do not read, and requests whose second head never ends: held small, and cut.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use socket2::SockRef;
use test_support::{Folder, Port, Process, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::wire::exchange;
use crate::stack::{Servers, Stack, resident_kib, run};

/// Connections to each port, and what each asks for at once.
const CONNECTIONS: usize = 300;
const REQUESTS: usize = 12;
/// And behind them: taken apart, each would take some kilobytes.
const SMALL: usize = 3000;
/// What a process may hold while none of them reads. A debug build has some 25 MB more from the start.
const MOST_KIB: u64 = if cfg!(debug_assertions) { 125 } else { 100 } * 1024;
/// When all of them are cut. A busy machine adds to the 40 s.
const CUT: Duration = Duration::from_mins(1);

/// The development page alone, before a folder with one mail, which is long.
struct Page {
    process: Process,
    address: String,
    _kept: (Folder, Port),
}

impl Page {
    async fn start() -> Self {
        let (folder, port) = (Folder::create(), Port::reserve());
        let address = format!("127.0.0.1:{}", port.number());
        let mail = format!(
            "From: a@test\r\nTo: b@test\r\nSubject: x\r\n\r\n{}\r\n",
            "<x>\r\n".repeat(1_000)
        );
        std::fs::create_dir(folder.join("mails")).unwrap();
        std::fs::write(folder.join("mails/long.eml"), mail).unwrap();
        let environment = [
            ("PROFILE", "test"),
            ("MAIL__URL", "file://mails"),
            ("MAIL__PAGE_ADDRESS", address.as_str()),
        ]
        .map(|(key, value)| (format!("WAYPOST__{key}"), value.to_owned()));
        let process = run("waypost", &environment).arg("page").folder(folder.path()).spawn();
        eventually(CUT, || async { TcpStream::connect(&address).await.is_ok() }).await;
        Self {
            process,
            address,
            _kept: (folder, port),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_is_held_small_and_cut_while_others_are_served() {
    let stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let page = Page::start().await;
    let ports = [
        (
            "user-api",
            &stack.users,
            &stack.users_http,
            "/docs/swagger-ui-bundle.js",
        ),
        (
            "gateway",
            &stack.gateway,
            &stack.gateway_http,
            "/docs/swagger-ui-bundle.js",
        ),
        ("operations", &stack.users, &stack.users_operations, "/metrics"),
        ("page", &page.process, &page.address, "/mails/long.eml"),
        ("sandbox", &stack.sandbox_process, &stack.sandbox, "/sandbox/requests"),
    ];
    // So that what the sandbox tells is large: 3 MB.
    let hook = [
        b"POST /hooks/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 60000\r\n\r\n".to_vec(),
        vec![b'x'; 60_000],
    ]
    .concat();
    for _ in 0..50 {
        exchange(&stack.sandbox, &hook, CUT).await.unwrap();
    }
    for (name, process, address, path) in ports {
        // Of the sandbox, others ask for little: all that it tells is a minute's work for a debug build.
        let others = if name == "sandbox" {
            "/sandbox/requests?provider=push"
        } else {
            path
        };
        let open_before = open_files(process);
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").repeat(REQUESTS)
            + &"GET / HTTP/1.1\r\nhost:a\r\n\r\n".repeat(SMALL);
        let began = Instant::now();
        let silent = join_all((0..CONNECTIONS).map(|_| ask(address, &request))).await;
        // All of them are there, and what can be sent has been.
        eventually(CUT, || async { open_files(process) >= open_before + CONNECTIONS / 2 }).await;
        let mut most = 0;
        let mut slowest = Duration::ZERO;
        while open_files(process) > open_before + CONNECTIONS / 10 {
            assert!(began.elapsed() < CUT, "{name}: still open after {CUT:?}");
            most = most.max(resident_kib(process));
            let asked = Instant::now();
            let other = format!("GET {others} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = exchange(address, other.as_bytes(), Duration::from_secs(20)).await;
            assert_eq!(answer.and_then(|answer| answer.status), Some(200), "{name}");
            slowest = slowest.max(asked.elapsed());
            sleep(Duration::from_millis(200)).await;
        }
        println!(
            "{name}: {CONNECTIONS} connections that read nothing: {most} KiB resident at most, all cut after {:.0?}, \
             the slowest answer to others took {slowest:.0?}",
            began.elapsed()
        );
        assert!(most < MOST_KIB, "{name} held {most} KiB");
        drop(silent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_that_never_ends_is_cut() {
    let stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let page = Page::start().await;
    let ports = [
        &stack.users_http,
        &stack.gateway_http,
        &stack.users_operations,
        &stack.sandbox,
        &page.address,
    ];
    // Each sends more of it now and then, or nothing more at all.
    let talks = ports
        .into_iter()
        .flat_map(|address| [(address, true), (address, false)]);
    let cut = join_all(talks.map(|(address, goes_on)| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let requests = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nGET /liv";
        stream.write_all(requests).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut first = [0; 64];
        assert!(reader.read(&mut first).await.unwrap() > 0);
        let began = Instant::now();
        let drops = async {
            while goes_on && writer.write_all(b"e").await.is_ok() {
                sleep(Duration::from_millis(500)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut rest = Vec::new();
        tokio::select! {
            () = drops => {}
            ended = timeout(CUT, reader.read_to_end(&mut rest)) => assert!(ended.is_ok(), "{address} is still open"),
        }
        began.elapsed()
    }))
    .await;
    println!("second heads that never end were cut after {cut:.0?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_gets_them_back() {
    let mut servers = Servers::shared();
    servers.settings = vec![("HTTP__CONNECTIONS_PER_ADDRESS", "20".to_owned())];
    let stack = Stack::without_worker(servers).await;
    stack.up().await;
    let request = b"GET /v1/users/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answers = async || {
        exchange(&stack.users_http, request, Duration::from_secs(5))
            .await
            .and_then(|a| a.status)
    };
    let mut held = Vec::new();
    eventually(Duration::from_secs(20), || async { answers().await == Some(401) }).await;
    for _ in 0..20 {
        held.push(TcpStream::connect(&stack.users_http).await.unwrap());
    }
    eventually(Duration::from_secs(20), || async { answers().await.is_none() }).await;
    let metrics = exchange(
        &stack.users_operations,
        b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        CUT,
    );
    let metrics = String::from_utf8(metrics.await.unwrap().body).unwrap();
    let refused = metrics
        .lines()
        .find(|line| line.starts_with("waypost_http_connections_refused_total{") && line.contains("port=\"http\""));
    assert!(refused.is_some_and(|line| !line.ends_with(" 0")), "{refused:?}");
    drop(held);
    eventually(Duration::from_secs(20), || async { answers().await == Some(401) }).await;
}

/// Sends the requests, and reads nothing; as little as can be waits in the kernel.
async fn ask(address: &str, requests: &str) -> TcpStream {
    let address = tokio::net::lookup_host(address).await.unwrap().next().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    SockRef::from(&socket).set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    // What is not taken within a second waits here: nothing more is read than is answered.
    let _ = timeout(Duration::from_secs(1), stream.write_all(requests.as_bytes())).await;
    stream
}

fn open_files(process: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count()
}
