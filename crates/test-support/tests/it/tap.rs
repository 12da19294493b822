use std::time::Duration;

use test_support::{Authority, Shown, SmtpReceiver, Tap, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_tap_hears_what_is_said_in_clear_and_tells_it_from_tls() {
    let receiver = SmtpReceiver::start_offering_tls(&Authority::create(), Shown::Right).await;
    let tap = Tap::on(receiver.address().port()).await;
    assert!(!tap.heard_only_tls_after(b""), "nobody spoke");
    let mut client = TcpStream::connect(("127.0.0.1", tap.port())).await.unwrap();
    client.write_all(b"EHLO test\r\nQUIT\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("250-STARTTLS"), "{answer}");
    eventually(Duration::from_secs(5), async || tap.heard_word("QUIT")).await;
    assert!(!tap.heard_only_tls_after(b"") && !tap.heard_only_tls_after(b"EHLO test\r\n"));
    assert!(!tap.heard_word("MAIL FROM"));
}
