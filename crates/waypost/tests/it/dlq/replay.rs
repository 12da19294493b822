//! A replay begins anew and tells its effect.

use serde_json::json;
use test_support::{Span, SpanKind};

use super::scene::{FIRST_TRACE, MAILS, Scene, dead, registered};
use crate::client::PATIENCE;

const TIME: &str = "2026-11-01T06:00:00.000000Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_tells_what_was_done_what_was_known_and_what_is_dead_again() {
    let scene = Scene::prepare().await;
    let worker = scene.worker().await;
    let (known, message) = registered("known@example.com");
    scene.publish(&message).await;
    scene.smtp.wait_for(1, PATIENCE).await;
    scene.bury(MAILS, &message).await;
    let (done, message) = dead("done@example.com", "mended since", TIME);
    scene.bury(MAILS, &message).await;
    let (again, mut poison) = dead("again@example.com", "undecodable", TIME);
    poison.body = b"{".to_vec();
    scene.bury(MAILS, &poison).await;

    let dry = scene.dlq("replay --dry-run --json").await.ends(0);
    assert_eq!((dry.objects().len(), scene.dead(MAILS).await), (3, 3));
    assert_eq!(scene.smtp.mails().len(), 1);

    let replayed = scene.dlq("replay --json --wait 60s").await.ends(1);
    let told = replayed.objects();
    let effect = |id: uuid::Uuid| told.iter().find(|one| one["id"] == json!(id)).unwrap();
    assert_eq!(told.len(), 3, "{}", replayed.output);
    assert_eq!(effect(known)["effect"], "known");
    assert_eq!(effect(done)["effect"], "done");
    assert_eq!(effect(again)["effect"], "dead_again");
    scene.smtp.wait_for(2, PATIENCE).await;
    assert_eq!(scene.smtp.mails_to("done@example.com").len(), 1);
    assert_eq!(scene.smtp.mails_to("known@example.com").len(), 1);

    // What is dead again began anew: its own attempts, and a trace that links to the first.
    let letters = scene.dlq("list --json").await.ends(0).objects();
    let [letter] = &letters[..] else { panic!("{letters:#?}") };
    assert_eq!((&letter["id"], &letter["attempts"]), (&json!(again), &json!(1)));
    let trace = effect(again)["trace_id"].as_str().unwrap().to_owned();
    assert_eq!(letter["trace_id"], json!(trace));
    assert_ne!(trace, FIRST_TRACE);
    let is_replay = |span: &Span| {
        span.name == format!("replay {MAILS}") && span.kind == SpanKind::Producer && span.links == [FIRST_TRACE]
    };
    scene.otlp.wait_for(&trace, PATIENCE, is_replay).await;
    let is_processed = |span: &Span| span.kind == SpanKind::Consumer && span.parent_id.is_some();
    scene.otlp.wait_for(&trace, PATIENCE, is_processed).await;
    let shown = scene.dlq(&format!("show {again} --json")).await.ends(0).objects();
    assert_eq!(shown[0]["first_trace_id"], json!(FIRST_TRACE));

    let replayed = scene.dlq(&format!("replay {again} --wait 60s")).await.ends(1).output;
    assert!(replayed.contains("1 replayed: dead again 1"), "{replayed}");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_carries_its_id_and_no_header_of_the_broker_or_of_its_attempts() {
    let scene = Scene::prepare().await;
    let (id, mut message) = dead("ada@example.com", "why", TIME);
    for name in ["x-death", "x-first-death-queue", "X-Made-Up"] {
        message.headers.insert(name.to_owned(), "a".into());
    }
    message.headers.insert("of-somebody-else".to_owned(), "kept".into());
    scene.bury(MAILS, &message).await;

    // Nobody consumes: it is in its queue, and that is all that can be said.
    let replayed = scene.dlq(&format!("replay {id} --wait 1s --json")).await.ends(1);
    assert_eq!(replayed.effects(), ["not_yet"]);
    assert_eq!(scene.dead(MAILS).await, 0);
    let letters = scene.taken(MAILS).await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    let names: Vec<_> = letter.headers.keys().map(String::as_str).collect();
    let expected = [
        "cloudEvents_id",
        "cloudEvents_source",
        "cloudEvents_specversion",
        "cloudEvents_subject",
        "cloudEvents_time",
        "cloudEvents_type",
        "of-somebody-else",
        "traceparent",
        "waypost-first-trace",
        "waypost-replay",
    ];
    assert_eq!(names, expected);
    assert_eq!(letter.headers["cloudEvents_id"], id.to_string());
    assert_eq!(letter.body, message.body);
    let none = scene.dlq(&format!("replay {id} --wait 1s")).await.ends(1).output;
    assert!(
        none.contains(&format!("no dead letter that is looked for has the id {id}")),
        "{none}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_some_leaves_the_others_and_keeps_to_its_rate() {
    let scene = Scene::prepare().await;
    let _worker = scene.worker().await;
    for number in 0..20 {
        let reason = if number < 8 { "mended" } else { "not mended" };
        let address = format!("person{number}@example.com");
        scene.bury(MAILS, &dead(&address, reason, TIME).1).await;
    }
    let began = std::time::Instant::now();
    let letters = scene
        .dlq("list --json --limit 1 --queue email-worker.events")
        .await
        .ends(0)
        .objects();
    let fingerprint = letters[0]["fingerprint"].as_str().unwrap();
    let one_kind = format!("replay --fingerprint {fingerprint} --rate 10 --wait 60s --json");
    let replayed = scene.dlq(&one_kind).await.ends(0);
    assert_eq!(replayed.effects(), ["done"; 8]);
    // The first goes at once, the others follow at a tenth of a second.
    assert!(began.elapsed() >= std::time::Duration::from_millis(700));
    scene.are_dead(MAILS, 12).await;
    let taken = scene.texts("SELECT message_id::text FROM email_worker.inbox").await;
    assert_eq!(taken.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_has_who_put_back_what_and_why_before_the_first_goes() {
    let scene = Scene::prepare().await;
    let (first, message) = dead("a@example.com", "mended", TIME);
    scene.bury(MAILS, &message).await;
    for _ in 0..2 {
        scene.bury(MAILS, &dead("b@example.com", "other", TIME).1).await;
    }
    let lines = "SELECT action || '|' || who || '|' || reason || '|' || target || '|' || (details ->> 'which') \
                 FROM email_worker.operations_audit ORDER BY id";
    scene.dlq("replay --dry-run").await.ends(0);
    assert_eq!(scene.texts(lines).await, [""; 0], "a dry run does nothing");

    // Where it can't be written, nothing goes back.
    let rename = "ALTER TABLE email_worker.operations_audit RENAME TO";
    scene.database.execute(&format!("{rename} audit_away")).await;
    let refused = scene.dlq("replay --wait 1s").await.ends(1).output;
    assert!(refused.contains("it can't be written down"), "{refused}");
    scene.are_dead(MAILS, 3).await;
    let back = "ALTER TABLE email_worker.audit_away RENAME TO operations_audit";
    scene.database.execute(back).await;

    // Nobody consumes: what goes back waits in its queue.
    scene
        .dlq(&format!("replay {first} --why mended --operator ada --wait 1s"))
        .await
        .ends(1);
    scene.dlq("replay --letter-reason other --wait 1s").await.ends(1);
    assert_eq!(
        scene.texts(lines).await,
        [
            format!("dead_letters.replay|ada|mended|{MAILS}|id={first}"),
            format!("dead_letters.replay|operator@command-line|no reason was given|{MAILS}|reason=other"),
        ]
    );
    let traces = scene.texts("SELECT trace_id FROM email_worker.operations_audit").await;
    let is_deed = |span: &Span| span.name == "dead_letters.replay";
    scene.otlp.wait_for(&traces[0], PATIENCE, is_deed).await;
    let elsewhere = "SELECT action FROM notification_gateway.operations_audit";
    assert_eq!(scene.texts(elsewhere).await, [""; 0], "nothing of its queue went back");
}
