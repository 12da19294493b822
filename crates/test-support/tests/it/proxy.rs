use std::io::ErrorKind;
use std::time::{Duration, Instant};

use test_support::{Fault, FaultProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that says back what it hears.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    #[expect(clippy::disallowed_methods, reason = "lives as long as the test's runtime")]
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.into_split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"hello").await?;
    let mut answer = [0; 5];
    let read = stream.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_millis(300), read).await??;
    assert_eq!(&answer, b"hello");
    Ok(())
}

#[tokio::test]
async fn what_a_black_hole_held_arrives_when_it_ends() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream).await.unwrap();

    proxy.set(Fault::BlackHole).await;
    assert_eq!(ask(&mut stream).await.unwrap_err().kind(), ErrorKind::TimedOut);

    proxy.set(Fault::Pass).await;
    let mut late = [0; 5];
    stream.read_exact(&mut late).await.unwrap();
    ask(&mut stream).await.unwrap();
}

#[tokio::test]
async fn refusing_resets_open_connections_and_takes_no_new_ones_until_it_passes_again() {
    let proxy = FaultProxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream).await.unwrap();

    proxy.set(Fault::Refuse).await;
    assert!(ask(&mut stream).await.is_err());
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    proxy.set(Fault::Pass).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_reset_after_so_many_bytes() {
    let proxy = FaultProxy::start(echo().await).await;
    proxy.set(Fault::ResetAfter(7)).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    ask(&mut stream).await.unwrap();
    assert_eq!(ask(&mut stream).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_delay_holds_each_way_and_mute_replies_hold_the_answer() {
    let proxy = FaultProxy::start(echo().await).await;
    proxy.set(Fault::Delay(Duration::from_millis(50))).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let start = Instant::now();
    ask(&mut stream).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(100));

    proxy.set(Fault::MuteReplies).await;
    assert_eq!(ask(&mut stream).await.unwrap_err().kind(), ErrorKind::TimedOut);
}
