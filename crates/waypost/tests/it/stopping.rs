use std::time::{Duration, Instant};

use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_end_each_process_cleanly_with_a_stream_open() {
    let mut stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    stack.client.sign_up("watcher@example.com").await.unwrap();
    let token = stack.client.log_in("watcher@example.com").await;
    let mut stream = stack.client.stream(&token).await;
    assert!(stream.next().await.is_some());

    let asked = Instant::now();
    stack.gateway.terminate();
    stack.users.interrupt();
    stack.workers[0].terminate();
    for process in [&mut stack.gateway, &mut stack.users, &mut stack.workers[0]] {
        let status = process.exit(Duration::from_secs(10)).await;
        assert!(status.success(), "{status:?}\n{}", process.output());
    }
    assert!(stream.next().await.is_none(), "the stream is closed, not left hanging");
    println!("all three ended within {:?}", asked.elapsed());
}
