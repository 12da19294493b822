//! Bytes that are hardly HTTP: refused or cut, in time, and the next request is answered.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::hardly_grew;
use super::wire::{Answer, exchange};
use crate::stack::{Servers, Stack, resident_kib};

/// A body has ten seconds, headers have five; then the connection is closed.
const CUT: Duration = Duration::from_secs(16);
/// Between two drops of a client that hardly sends.
const DROP: Duration = Duration::from_millis(300);

const POST: &str = "POST /v1/users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hardly_http_is_refused_or_cut_in_time() {
    let stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let cases = [lines(), headers(), framings(), chunks()].concat();
    // The first round fills what the allocator keeps; what grows after it would grow for ever.
    talk_to_both(&stack, &cases).await;
    let before = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
    for _ in 0..3 {
        talk_to_both(&stack, &cases).await;
    }
    let after = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
    println!(
        "{} kinds of bytes to each; resident KiB of [user-api, gateway]: {before:?} after one round, {after:?} after four",
        cases.len()
    );
    hardly_grew(before, after);
}

/// Every case to each service, all at once; then a good request.
async fn talk_to_both(stack: &Stack, cases: &[Bytes]) {
    for address in [&stack.users_http, &stack.gateway_http] {
        let talks = cases.iter().map(|(name, bytes)| async move {
            let answer = half_closed(address, bytes).await;
            wrong(answer.as_ref()).map(|wrong| format!("{name}: {wrong}"))
        });
        let failed: Vec<String> = join_all(talks).await.into_iter().flatten().collect();
        assert!(failed.is_empty(), "{address}:\n{}", failed.join("\n"));
        still_answers(address).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hardly_sends_and_who_never_ends_is_cut() {
    let stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let before = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
    let slow: [(&str, String); 6] = [
        ("silence", String::new()),
        ("a slow request line", "GET /v1/".to_owned()),
        (
            "slow headers",
            "GET /v1/users/me HTTP/1.1\r\nhost: x\r\nx-slow: ".to_owned(),
        ),
        ("a slow body", format!("{POST}content-length: 60000\r\n\r\n{{")),
        (
            "a slow chunk",
            format!("{POST}transfer-encoding: chunked\r\n\r\nf000\r\n{{"),
        ),
        (
            "a slow body that nobody reads",
            "DELETE /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n".to_owned(),
        ),
    ];
    let endless: [(&str, String, &str); 4] = [
        ("an endless request line", "GET /".to_owned(), "aaaaaaaa"),
        ("an endless header", "GET / HTTP/1.1\r\nx: ".to_owned(), "aaaaaaaa"),
        ("endless headers", "GET / HTTP/1.1\r\n".to_owned(), "x: y\r\n"),
        (
            "endless chunks",
            format!("{POST}transfer-encoding: chunked\r\n\r\n"),
            "8\r\n        \r\n",
        ),
    ];
    for address in [&stack.users_http, &stack.gateway_http] {
        let slow = join_all(slow.iter().map(|(name, start)| drip(name, address, start.as_bytes())));
        let endless = join_all(
            endless
                .iter()
                .map(|(name, start, more)| flood(name, address, start, more)),
        );
        let (slow, endless) = tokio::join!(slow, endless);
        println!("{address}: {}", [slow, endless].concat().join("; "));
        still_answers(address).await;
    }
    let after = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
    println!("resident KiB of [user-api, gateway]: {before:?} before, {after:?} after");
    hardly_grew(before, after);
}

/// What is wrong: a hang, a success, a failure of the server's.
fn wrong(answer: Option<&Answer>) -> Option<String> {
    let Some(answer) = answer else {
        return Some(format!("still open after {CUT:?}"));
    };
    match answer.status {
        None | Some(400..500) => None,
        Some(status) => Some(format!("answered {status}")),
    }
}

/// Sends all and says that there is no more.
async fn half_closed(address: &str, bytes: &[u8]) -> Option<Answer> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        let write = async {
            let _ = writer.write_all(bytes).await;
            let _ = writer.shutdown().await;
        };
        let ((), _) = tokio::join!(write, reader.read_to_end(&mut answer));
        Answer::of(&answer)
    };
    timeout(CUT, talk).await.ok()
}

/// Sends a byte now and then; says how it was cut.
async fn drip(name: &str, address: &str, start: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let started = Instant::now();
    let mut answer = Vec::new();
    let drops = async {
        let mut open = writer.write_all(start).await.is_ok();
        while open {
            sleep(DROP).await;
            open = start.is_empty() || writer.write_all(b"a").await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    let cut = tokio::select! {
        () = drops => false,
        read = timeout(CUT, reader.read_to_end(&mut answer)) => read.is_ok(),
    };
    assert!(
        cut,
        "{name}: still open after {CUT:?}, having answered {:?}",
        String::from_utf8_lossy(&answer)
    );
    let status = Answer::of(&answer).status;
    assert!(
        status.is_none_or(|status| (400..500).contains(&status)),
        "{name}: {status:?}"
    );
    format!("{name}: {status:?} after {:.1?}", started.elapsed())
}

/// Sends the same for ever; says how much was taken.
async fn flood(name: &str, address: &str, start: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let taken = Cell::new(0);
    let write = async {
        let block = more.repeat(8192);
        let mut open = writer.write_all(start.as_bytes()).await.is_ok();
        while open {
            open = writer.write_all(block.as_bytes()).await.is_ok();
            taken.set(taken.get() + block.len());
        }
    };
    let mut answer = Vec::new();
    let ended = timeout(CUT, async { tokio::join!(write, reader.read_to_end(&mut answer)) }).await;
    let (taken, status) = (taken.get(), Answer::of(&answer).status);
    assert!(
        ended.is_ok(),
        "{name}: still open after {CUT:?}, {taken} bytes and {status:?}"
    );
    assert!(
        status.is_none_or(|status| (400..500).contains(&status)),
        "{name}: {status:?}"
    );
    format!("{name}: {status:?} after {} KiB", taken / 1024)
}

async fn still_answers(address: &str) {
    let request = b"GET /v1/users/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(address, request, Duration::from_secs(5)).await.unwrap();
    assert!(matches!(answer.status, Some(401 | 404)), "{answer:?}");
}

type Bytes = (String, Vec<u8>);

fn named(cases: &[(&str, &[u8])]) -> Vec<Bytes> {
    cases
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
        .collect()
}

fn lines() -> Vec<Bytes> {
    named(&[
        ("nothing", b""),
        ("line breaks", b"\r\n\r\n\r\n\r\n"),
        ("noise", b"\xde\xad\xbe\xef\0\x01\x02\xff\r\n\r\n"),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x00"),
        ("AMQP", b"AMQP\0\0\x09\x01"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ("HTTP/0.9", b"GET /\r\n\r\n"),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\n\r\n"),
        ("no version", b"GET / HTTP/\r\n\r\n"),
        ("no method", b" / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a method with a NUL", b"GE\0T / HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a blank in the path", b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a NUL in the path", b"GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "bytes in the path",
            b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
        ("no path", b"GET  HTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "no slash",
            b"GET v1/users HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
        (
            "an asterisk",
            b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
        (
            "another's address",
            b"GET http://example.com/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
        ("a tunnel", b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "a fragment",
            b"GET /#x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
        (
            "an upgrade",
            b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\nhttp2-settings: AA\r\n\r\n",
        ),
        (
            "a hundred at once",
            &b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100),
        ),
        ("half a request", b"GET /v1/users/me HTTP/1.1\r\nhos"),
    ])
}

fn headers() -> Vec<Bytes> {
    let get = |rest: &[u8]| [b"GET /v1/nothing HTTP/1.1\r\nconnection: close\r\n", rest, b"\r\n\r\n"].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no host", get(b"x: y")),
        ("two hosts", get(b"host: a\r\nhost: b")),
        ("a host that is none", get(b"host: \xff\0@:[")),
        ("no colon", get(b"hello")),
        ("a blank before the colon", get(b"host : x")),
        ("no name", get(b": x")),
        ("a folded line", get(b"x: a\r\n b")),
        (
            "bare line feeds",
            b"GET /nothing HTTP/1.1\nhost: x\nconnection: close\n\n".to_vec(),
        ),
        ("a bare carriage return", get(b"x: a\rb: c")),
        ("a NUL in a name", get(b"x\0y: a")),
        ("a NUL in a value", get(b"x: a\0b")),
        ("ten thousand headers", get(&b"x: y\r\n".repeat(10_000))),
        (
            "a megabyte in one header",
            get(&[b"x: ".as_slice(), &[b'a'; 1 << 20]].concat()),
        ),
        (
            "a name of a hundred kilobytes",
            get(&[[b'a'; 100_000].as_slice(), b": x"].concat()),
        ),
        ("an expectation", get(b"expect: the-unexpected")),
    ];
    cases
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

fn framings() -> Vec<Bytes> {
    let post = |name: &str, headers: &str| {
        (
            name.to_owned(),
            format!("{POST}connection: close\r\n{headers}\r\n{{}}").into_bytes(),
        )
    };
    vec![
        post("no length", ""),
        post("a negative length", "content-length: -1\r\n"),
        post("a length with a sign", "content-length: +2\r\n"),
        post("a length in words", "content-length: two\r\n"),
        post("a length with a fraction", "content-length: 2.0\r\n"),
        post("a length beyond numbers", "content-length: 99999999999999999999999\r\n"),
        post("the longest length", "content-length: 18446744073709551615\r\n"),
        post("two lengths", "content-length: 2\r\ncontent-length: 3\r\n"),
        post("a list of lengths", "content-length: 2, 3\r\n"),
        post("an empty length", "content-length:\r\n"),
        post("more than was sent", "content-length: 1000\r\n"),
        post(
            "a length and chunks",
            "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        ),
        post("an unknown coding", "transfer-encoding: gzip\r\n"),
        post("chunked, then another", "transfer-encoding: chunked, gzip\r\n"),
        post(
            "chunked twice",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ),
        post("chunked with a trick", "transfer-encoding: \x0bchunked\r\n"),
    ]
}

fn chunks() -> Vec<Bytes> {
    let chunked = |name: &str, chunks: &str| {
        (
            name.to_owned(),
            format!("{POST}connection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunks}").into_bytes(),
        )
    };
    vec![
        chunked("no chunk", ""),
        chunked("the last chunk alone", "0\r\n\r\n"),
        chunked("a size that is none", "zz\r\n{}\r\n0\r\n\r\n"),
        chunked("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
        chunked("a size beyond numbers", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        chunked("the largest size", "ffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        chunked("a size that is too small", "1\r\n{}\r\n0\r\n\r\n"),
        chunked("a size that is too large", "5\r\n{}\r\n0\r\n\r\n"),
        chunked(
            "a huge extension",
            &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(1 << 20)),
        ),
        chunked("no end", "2\r\n{}\r\n"),
        chunked(
            "trailers without end",
            &format!("0\r\n{}\r\n", "x: y\r\n".repeat(100_000)),
        ),
    ]
}
