//! A command that is killed, or that stands beside another, loses and doubles nothing.

use std::collections::BTreeSet;

use test_support::{Stream, eventually};

use super::scene::{MAILS, Scene, dead};
use crate::client::PATIENCE;

const TIME: &str = "2026-11-01T06:00:00.000000Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_killed_gives_all_back_and_one_beside_it_waits_and_sees_all() {
    const LETTERS: u32 = 300;
    let scene = Scene::prepare().await;
    for _ in 0..LETTERS {
        scene.bury(MAILS, &dead("a@example.com", "why", TIME).1).await;
    }
    // It hangs in its first line, which nobody reads, and holds what it has read.
    let mut first = scene.program("dlq list --json").stalled(Stream::Stdout).spawn();
    eventually(PATIENCE, async || scene.dead(MAILS).await < LETTERS).await;
    let second = async {
        let beside = scene.dlq("list --json").await.ends(0).objects();
        assert_eq!(beside.len(), LETTERS as usize);
    };
    let kill = async {
        // Long enough for the second to come; it must not see what is left over.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        first.kill();
    };
    tokio::join!(second, kill);
    scene.are_dead(MAILS, LETTERS).await;

    // Two that begin together see all, one after the other.
    let (one, other) = tokio::join!(scene.dlq("list --json"), scene.dlq("list --json"));
    assert_eq!((one.ends(0).objects().len(), other.ends(0).objects().len()), (300, 300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_in_the_middle_loses_no_message_and_doubles_no_mail() {
    const LETTERS: usize = 200;
    let scene = Scene::prepare().await;
    let _worker = scene.worker().await;
    for number in 0..LETTERS {
        let address = format!("person{number}@example.com");
        scene.bury(MAILS, &dead(&address, "mended", TIME).1).await;
    }
    let mut killed = scene.program("dlq replay --rate 100").spawn();
    scene.smtp.wait_for(20, PATIENCE).await;
    killed.kill();
    let at_kill = scene.smtp.mails().len();
    assert!(at_kill < LETTERS, "it was over before it was killed");

    let rest = scene.dlq("replay --json --wait 60s").await.ends(0);
    let effects = rest.effects();
    scene.smtp.wait_for(LETTERS, PATIENCE).await;
    let mails = scene.smtp.per_recipient();
    let doubled = mails.values().filter(|count| **count > 1).count();
    let taken = scene.texts("SELECT message_id::text FROM email_worker.inbox").await;
    println!(
        "killed after {at_kill} of {LETTERS}: replayed then {}, lost {}, doubled {doubled}",
        effects.len(),
        LETTERS - mails.len()
    );
    assert_eq!((mails.len(), doubled), (LETTERS, 0));
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), LETTERS);
    scene.are_dead(MAILS, 0).await;
}
