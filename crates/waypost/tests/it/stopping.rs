use std::time::{Duration, Instant};

use test_support::{Process, workspace_binary};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_whose_terminal_goes_ends_cleanly_unless_nohup_started_it() {
    for (started, is_ignored) in [("--ignore-signal=HUP", true), ("--default-signal=HUP", false)] {
        let sandbox = Process::run("env")
            .arg(started)
            .arg(workspace_binary("provider-sandbox"))
            .arg("--address=127.0.0.1:0");
        let mut sandbox = sandbox.spawn();
        sandbox
            .writes("the provider sandbox is up", Duration::from_secs(30))
            .await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", sandbox.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        assert_eq!(
            mask & 1 == 1,
            is_ignored,
            "{started}: SIGHUP is the first bit of {mask:x}"
        );
        if !is_ignored {
            sandbox.hang_up();
            let status = sandbox.exit(Duration::from_secs(10)).await;
            assert!(status.success(), "{status:?}\n{}", sandbox.output());
        }
    }
}
