//! A server over connections that are guarded, asked by sockets.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(clippy::expect_used, reason = "what did not come is said")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpResponse};
use connections::{Listener, PerAddress, Slices};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);
const LARGE: usize = 3_000_000;

/// Lets requests for `/gate` through, one for each permit.
struct Gate {
    permits: Semaphore,
    /// How many came to it.
    came: AtomicUsize,
}

/// How many requests were begun.
#[derive(Default)]
struct Begun(AtomicUsize);

struct Server {
    address: SocketAddr,
    gate: Data<Gate>,
    begun: Data<Begun>,
}

fn start() -> Server {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let gate = Data::new(Gate {
        permits: Semaphore::new(0),
        came: AtomicUsize::new(0),
    });
    let begun = Data::from(Arc::<Begun>::default());
    let large = Bytes::from(vec![b'x'; LARGE]);
    let listener = Listener {
        name: "test",
        workers: Some(1),
        connections_per_worker: 100,
        per_address: PerAddress::new(50, |_| false, || {}),
        head_timeout: Duration::from_secs(5),
        keep_alive: SOON,
        shutdown_timeout: Duration::ZERO,
        on_connect: |_, _| {},
    };
    let data = (gate.clone(), begun.clone());
    let server = listener
        .serve(socket, move || {
            let large = large.clone();
            App::new()
                .app_data(data.0.clone())
                .app_data(data.1.clone())
                .app_data(PayloadConfig::new(1 << 20))
                .route("/", web::get().to(count))
                .route("/gate", web::get().to(pass))
                .route(
                    "/large",
                    web::get().to(move || std::future::ready(large_answer(&large))),
                )
                .route("/echo", web::post().to(echo))
                .route("/refused", web::post().to(refuse))
        })
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(server);
    Server { address, gate, begun }
}

async fn count(begun: Data<Begun>) -> String {
    begun.0.fetch_add(1, Ordering::SeqCst).to_string()
}

async fn pass(gate: Data<Gate>) -> &'static str {
    gate.came.fetch_add(1, Ordering::SeqCst);
    gate.permits.acquire().await.unwrap().forget();
    "through"
}

fn large_answer(large: &Bytes) -> HttpResponse {
    HttpResponse::Ok().body(Slices::from(large.clone()))
}

async fn echo(body: Bytes) -> Bytes {
    body
}

/// Without a look at the body.
async fn refuse() -> HttpResponse {
    HttpResponse::Unauthorized().finish()
}

impl Server {
    /// Waits until so many requests stand at the gate.
    async fn stand_at_the_gate(&self, requests: usize) {
        let all_came = async {
            while self.gate.came.load(Ordering::SeqCst) < requests {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, all_came).await.expect("all come");
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("it ends")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(path: &str, connection: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_at_once_are_all_answered_in_their_order() {
    let server = start();
    let mut stream = server.connect().await;
    let (mut reader, mut writer) = stream.split();
    let requests = get("/", "keep-alive").repeat(2000) + &get("/", "close");
    let mut answers = Vec::new();
    let (sent, read) = tokio::join!(
        writer.write_all(requests.as_bytes()),
        timeout(SOON, reader.read_to_end(&mut answers))
    );
    sent.unwrap();
    read.expect("all are answered").unwrap();
    let answers = String::from_utf8(answers).unwrap();
    let numbers: Vec<usize> = answers
        .split("\r\n\r\n")
        .skip(1)
        .filter_map(|body| {
            let digits: String = body.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .collect();
    assert_eq!(numbers, (0..=2000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_behind_a_request_that_is_being_answered() {
    let server = start();
    let mut stream = server.connect().await;
    stream.write_all(get("/gate", "keep-alive").as_bytes()).await.unwrap();
    // More than any buffer here takes: what is not read by the server stays with us.
    let (mut reader, mut writer) = stream.split();
    let more = get("/", "keep-alive").repeat(400_000);
    let stuck = timeout(Duration::from_secs(2), writer.write_all(more.as_bytes())).await;
    assert!(stuck.is_err(), "20 MB were taken behind a request that waits");
    assert_eq!(server.begun.0.load(Ordering::SeqCst), 0);
    server.gate.permits.add_permits(1);
    let mut byte = [0; 1024];
    let read = timeout(SOON, reader.read(&mut byte))
        .await
        .expect("the answer comes")
        .unwrap();
    assert!(String::from_utf8_lossy(&byte[..read]).contains("through"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_whole_whatever_its_framing() {
    let server = start();
    let body = "b".repeat(60_000);
    let chunks = body.as_bytes().chunks(700).fold(String::new(), |all, chunk| {
        all + &format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk))
    });
    for (framing, body) in [
        (format!("content-length: {}", body.len()), body.clone()),
        ("transfer-encoding: chunked".to_owned(), chunks + "0\r\n\r\n"),
    ] {
        let mut stream = server.connect().await;
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}") + &get("/", "close");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answers = read_to_end(&mut stream).await;
        assert!(answers.contains(&"b".repeat(60_000)), "{framing}: {}", answers.len());
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{framing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_before_the_body_has_come_hears_it() {
    let server = start();
    let mut stream = server.connect().await;
    let head = "POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stream.write_all(&[b'b'; 3000]).await.unwrap();
    }
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_arrives_whole_at_who_reads_slowly() {
    let server = start();
    let mut stream = server.connect().await;
    stream.write_all(get("/large", "close").as_bytes()).await.unwrap();
    let mut taken = 0;
    let mut piece = vec![0; 50_000];
    loop {
        let read = timeout(SOON, stream.read(&mut piece))
            .await
            .expect("it goes on")
            .unwrap();
        if read == 0 {
            break;
        }
        taken += read;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(taken > LARGE, "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_gone_is_noticed_while_its_request_waits() {
    let server = start();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(get("/gate", "keep-alive").as_bytes()).await.unwrap();
        stream.set_zero_linger().unwrap();
        streams.push(stream);
    }
    // A peer that is gone before its request was read is noticed by the answer alone.
    server.stand_at_the_gate(50).await;
    // All that the address may have: another one is closed at once.
    let is_free = async || {
        let mut other = server.connect().await;
        let _ = other.write_all(get("/", "close").as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(SOON, other.read_to_end(&mut answer)).await.expect("it ends");
        !answer.is_empty()
    };
    assert!(!is_free().await);
    drop(streams);
    let end = std::time::Instant::now() + SOON;
    while !is_free().await {
        assert!(
            std::time::Instant::now() < end,
            "the places of those who are gone are not given back"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
