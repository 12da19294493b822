use std::time::Duration;

use test_support::{Process, Stream};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_program_is_heard_asked_to_stop_and_killed() {
    let script = "trap 'echo bye; exit 3' TERM; echo $WORD; while :; do sleep 0.05; done";
    let mut program = Process::run("sh").arg("-c").arg(script).env("WORD", "hello").spawn();
    program.writes("hello", SOON).await;
    program.terminate();
    assert_eq!(program.exit(SOON).await.code(), Some(3));
    program.writes("bye", SOON).await;

    let mut program = Process::run("sleep").arg("60").spawn();
    assert!(program.is_running());
    program.kill();
    assert!(!program.is_running());
}

#[tokio::test]
async fn a_program_that_is_stalled_waits_with_its_first_line_until_it_is_read() {
    let script = "echo told; echo waits >&2; echo went on; exit 0";
    let mut program = Process::run("sh").arg("-c").arg(script).stalled(Stream::Stderr).spawn();
    program.writes("told", SOON).await;
    assert!(program.is_running(), "{}", program.output());
    program.read_on();
    assert_eq!(program.exit(SOON).await.code(), Some(0));
    program.writes("waits", SOON).await;
}
