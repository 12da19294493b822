//! Poison by the thousand: listing 100,000 dead letters holds less than 100 MB.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use sea_orm::ConnectionTrait;
use test_support::{Folder, amqp_url, workspace_binary};

use super::scene::{COMMAND, MAILS, Scene};
use crate::embedded::Embedded;

const LETTERS: usize = 100_000;
const MOST_KIB: u64 = 100 * 1024;
/// What waits for its confirmation at a time.
const WINDOW: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_100_000_dead_letters_on_rabbitmq_stays_small() {
    let scene = Scene::prepare().await;
    bury(&scene).await;
    scene.are_dead(MAILS, u32::try_from(LETTERS).unwrap()).await;
    let environment = scene.environment().to_vec();
    let listed = tokio::task::spawn_blocking(move || list(&environment, None))
        .await
        .unwrap();
    listed.judge("RabbitMQ");
    scene.are_dead(MAILS, u32::try_from(LETTERS).unwrap()).await;
    // No test deletes a queue; what it holds is another thing.
    scene.purge(MAILS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_100_000_dead_letters_in_a_database_stays_small() {
    let embedded = Embedded::prepare();
    let mut process = embedded.start().await;
    process.kill();
    let file = embedded.folder.join(".waypost/waypost-email-worker.db");
    let database = sea_orm::Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let headers = r#"{"content_type":"application/json","headers":{"cloudEvents_type":"user.registered.v1","waypost-reason":"undecodable"}}"#;
    let letters = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LETTERS}) \
         INSERT INTO dead_letters (queue, headers, body, dead_at) \
         SELECT '{MAILS}', CAST('{headers}' AS BLOB), zeroblob(1000), 1 FROM n"
    );
    database.execute_unprepared(&letters).await.unwrap();
    database.close().await.unwrap();
    let (environment, folder) = (embedded.environment(), embedded.folder.path().to_owned());
    let listed = tokio::task::spawn_blocking(move || list(&environment, Some(&folder)))
        .await
        .unwrap();
    listed.judge("SQLite");
}

/// What a list came to.
struct Listed {
    lines: usize,
    most_kib: u64,
    took: Duration,
}

impl Listed {
    fn judge(&self, where_from: &str) {
        let Self { lines, most_kib, took } = self;
        println!("{where_from}: {lines} dead letters listed in {took:?}, at most {most_kib} KiB resident");
        assert_eq!(*lines, LETTERS);
        assert!(*most_kib < MOST_KIB, "{most_kib} KiB");
    }
}

/// Lists them into a file, and looks at the process's memory meanwhile.
fn list(environment: &[(String, String)], folder: Option<&std::path::Path>) -> Listed {
    let own = Folder::create();
    let (output, began) = (own.join("list"), Instant::now());
    let mut command = Command::new(workspace_binary("waypost"));
    command
        .args(["dlq", "list", "--json", "--queue", MAILS])
        .current_dir(folder.unwrap_or_else(|| own.path()))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(File::create(&output).unwrap());
    let mut child = command.spawn().unwrap();
    let mut most_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        most_kib = most_kib.max(high_water_kib(child.id()).unwrap_or(0));
        assert!(began.elapsed() < COMMAND, "the list does not end");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
    let lines = std::fs::read_to_string(&output).unwrap().lines().count();
    Listed {
        lines,
        most_kib,
        took: began.elapsed(),
    }
}

/// The most memory that the process ever held.
fn high_water_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Puts all of them into the dead letters, many at a time.
async fn bury(scene: &Scene) {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("cloudEvents_type", "user.registered.v1"),
        ("cloudEvents_id", "0190f3b4-1111-7000-8000-000000000001"),
        ("waypost-reason", "undecodable: no valid JSON at line 1 column 5"),
        ("waypost-attempt", "1"),
        ("waypost-failed-at", "2026-11-01T06:00:00.000000Z"),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default().with_headers(headers).with_delivery_mode(2);
    let (exchange, key) = (scene.name("waypost.dead"), scene.name(MAILS));
    let body = vec![b'x'; 500];
    for _ in 0..LETTERS / WINDOW {
        let mut waiting = Vec::with_capacity(WINDOW);
        for _ in 0..WINDOW {
            let (exchange, key) = (exchange.as_str().into(), key.as_str().into());
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish(exchange, key, options, &body, properties.clone());
            waiting.push(sent.await.unwrap());
        }
        for confirmation in waiting {
            assert!(confirmation.await.unwrap().is_ack());
        }
    }
    connection.close(200, "done".into()).await.unwrap();
}
