//! What is set aside is shown whole, by every filter, and dropped when that is meant.

use serde_json::json;

use super::scene::{FIRST_TRACE, GATEWAY, MAILS, Scene, dead, registered};

const EARLY: &str = "2026-11-01T06:00:00.000000Z";
const LATE: &str = "2026-11-02T06:00:00.000000Z";

#[tokio::test(flavor = "multi_thread")]
async fn every_dead_letter_is_listed_by_each_filter_and_counted_by_what_failed() {
    let scene = Scene::prepare().await;
    for number in 0..5 {
        let reason = format!("no template {number} for \"ada{number}\"");
        scene.bury(MAILS, &dead("a@example.com", &reason, EARLY).1).await;
    }
    let (panicked, message) = dead("b@example.com", "the handler panicked 5 times", LATE);
    scene.bury(GATEWAY, &message).await;
    let (_, mut other) = dead("c@example.com", "unknown type user.exploded.v1", LATE);
    other
        .headers
        .insert("cloudEvents_type".to_owned(), "user.exploded.v1".into());
    other.headers.remove("cloudEvents_id");
    scene.bury(MAILS, &other).await;

    let all = scene.dlq("list --json").await.ends(0).objects();
    assert_eq!(all.len(), 7, "{all:#?}");
    let one = all.iter().find(|letter| letter["id"] == json!(panicked)).unwrap();
    for (name, value) in [
        ("queue", json!(GATEWAY)),
        ("type", json!("user.registered.v1")),
        ("reason", json!("the handler panicked 5 times")),
        ("attempts", json!(3)),
        ("time", json!(LATE)),
        ("trace_id", json!(FIRST_TRACE)),
        ("first_error", json!("the first one")),
        ("last_error", json!("the last one")),
    ] {
        assert_eq!(one[name], value, "{one}");
    }
    let fingerprint = one["fingerprint"].as_str().unwrap();
    for (filter, count) in [
        (format!("--queue {MAILS}"), 6),
        ("--type user.exploded.v1".to_owned(), 1),
        ("--reason TEMPLATE".to_owned(), 5),
        (format!("--fingerprint {fingerprint}"), 1),
        ("--since 2026-11-02T00:00:00Z".to_owned(), 2),
        ("--until 2026-11-02T00:00:00Z".to_owned(), 5),
        (format!("--queue {MAILS} --since 2026-11-02T00:00:00Z"), 1),
        (format!("--id {panicked}"), 1),
        ("--limit 3".to_owned(), 3),
        ("--reason nobody".to_owned(), 0),
    ] {
        let found = scene.dlq(&format!("list --json {filter}")).await.ends(0).objects();
        assert_eq!(found.len(), count, "{filter}: {found:#?}");
    }

    let groups = scene.dlq("list --groups --json").await.ends(0).objects();
    let counts: Vec<_> = groups.iter().map(|group| group["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [5, 1, 1], "{groups:#?}");
    assert_eq!(groups[0]["cause"], json!("refused: no template * for *"));
    let shown = scene.dlq("list").await.ends(0).output;
    assert!(shown.contains("7 dead letters, 3 kinds of failure"), "{shown}");
    // Looking took none, and none waits for its looker.
    assert_eq!((scene.dead(MAILS).await, scene.dead(GATEWAY).await), (6, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_letter_is_shown_whole_and_moves_no_cursor() {
    let scene = Scene::prepare().await;
    let (id, mut message) = dead("ada@example.com", "why \u{1b}[2J", LATE);
    message.headers.insert("x-made-up".to_owned(), "kept".into());
    for queue in [MAILS, GATEWAY] {
        scene.bury(queue, &message).await;
    }

    let shown = scene.dlq(&format!("show {id}")).await.ends(0).output;
    for part in [
        "first error   the first one",
        "last error    the last one",
        "attempts      3",
        "reason        why ?[2J",
        "  x-made-up: kept",
        "\"email\":\"ada@example.com\"",
        FIRST_TRACE,
        GATEWAY,
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let objects = scene
        .dlq(&format!("show {id} --json --queue {MAILS}"))
        .await
        .ends(0)
        .objects();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["body"]["email"], json!("ada@example.com"));
    assert_eq!(objects[0]["headers"]["cloudEvents_source"], json!("user-api"));

    let unknown = scene.dlq("show 7").await.ends(1).output;
    assert!(unknown.contains("no dead letter has the id 7"), "{unknown}");
    for usage in [
        "show",
        "list --queue nobody",
        "list --since yesterday",
        "replay --rate 0",
        "drop",
    ] {
        scene.dlq(usage).await.ends(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_meant_is_dropped_and_the_audit_says_why() {
    let scene = Scene::prepare().await;
    let (first, message) = dead("a@example.com", "poison", EARLY);
    scene.bury(MAILS, &message).await;
    for _ in 0..3 {
        scene.bury(MAILS, &dead("b@example.com", "other", EARLY).1).await;
    }
    scene.bury(GATEWAY, &dead("c@example.com", "other", EARLY).1).await;

    let none = scene.dlq("drop --reason mended").await.ends(2).output;
    assert!(none.contains("say which dead letters to drop"), "{none}");
    let dry = scene
        .dlq(&format!(
            "drop --queue {MAILS} --letter-reason other --reason mended --dry-run --json"
        ))
        .await
        .ends(0);
    assert_eq!((dry.objects().len(), scene.dead(MAILS).await), (3, 4));

    scene
        .dlq(&format!("drop {first} --reason mended --operator ada"))
        .await
        .ends(0);
    scene.are_dead(MAILS, 3).await;
    let dropped = scene
        .dlq("drop --letter-reason other --reason mended --json")
        .await
        .ends(0);
    assert_eq!(dropped.objects().len(), 4);
    scene.are_dead(MAILS, 0).await;
    scene.are_dead(GATEWAY, 0).await;
    scene.dlq(&format!("drop {first} --reason mended")).await.ends(1);

    let audit = |schema: &str| {
        format!("SELECT who || '|' || reason || '|' || target FROM {schema}.operations_audit ORDER BY id")
    };
    let lines = scene.texts(&audit("email_worker")).await;
    assert_eq!(
        lines,
        [
            "ada|mended|email-worker.events",
            "operator@command-line|mended|email-worker.events"
        ]
    );
    assert_eq!(scene.texts(&audit("notification_gateway")).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told_with_its_cure() {
    let scene = Scene::prepare().await;
    scene.bury(MAILS, &registered("a@example.com").1).await;
    let nobody = test_support::Port::reserve();
    let away = format!("amqp://guest:guest@127.0.0.1:{}/%2f", nobody.number());
    let command = scene.program("dlq list").env("WAYPOST__BROKER__URL", away);
    let ended = super::scene::ended(command).await.ends(1);
    assert!(
        ended.output.contains("no connection to the broker of email-worker"),
        "{}",
        ended.output
    );
}
