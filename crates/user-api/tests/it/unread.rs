//! Requests that are answered before their body was read: what becomes of the connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::test_app::TestApp;

/// Somebody's path.
const ADA: &str = "/v1/users/01900000-0000-7000-8000-000000000001";
/// Longer than a server waits for what may still come.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_that_read_no_body_the_connection_serves_the_next_request() {
    let app = TestApp::start_embedded().await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let refused = [
        ("POST", "/v1/users", "text/plain", "415"),
        ("POST", "/v1/nothing", "application/json", "404"),
        ("PUT", "/v1/users", "application/json", "405"),
        ("PATCH", ADA, "application/merge-patch+json", "401"),
    ];
    for (method, path, media_type, status) in refused {
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}\r\ncontent-length: 15\r\n\r\n");
        // The body comes with the head, or a little later.
        for parts in [
            vec![head.clone() + "{\"name\": \"Ada\"}"],
            vec![head, "{\"name\": \"Ada\"}".to_owned()],
        ] {
            for part in parts {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            let answer = answer(&mut stream).await.unwrap();
            assert_eq!(answer.get(9..12), Some(status), "{answer}");
            assert!(!answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_or_is_long_is_not_waited_for() {
    let app = TestApp::start_embedded().await;
    for (length, sent) in [(15, 1), (60_000, 60_000)] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        let body = " ".repeat(sent);
        let request = format!("POST /v1/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await.unwrap();
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        assert_eq!(answer.get(9..12), Some("404"), "{answer}");
    }
}

/// One answer; `None` when the server hangs up instead.
async fn answer(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            });
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        let some = timeout(PATIENCE, stream.read_buf(&mut read)).await.unwrap().unwrap();
        if some == 0 {
            return None;
        }
    }
}
