use common::config::Service;
use common::messaging::Broker;
use common::process::Tasks;
use email_worker::{Backends, Settings, start};
use test_support::{Port, TestDatabase, eventually};

use crate::world::{SOON, World};

async fn refusal(change: impl FnOnce(&mut Settings)) -> String {
    let database = TestDatabase::sqlite();
    let mut settings = Settings::for_tests();
    settings.database.url = database.url().into();
    change(&mut settings);
    let backends = Backends {
        broker: Some(Broker::memory()),
    };
    let error = start(settings, backends, Tasks::new(Service::EmailWorker))
        .await
        .unwrap_err();
    format!("{error:#}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_can_not_be_used_stops_the_start_and_is_named() {
    let refused = refusal(|settings| settings.own.mail.from = "nobody".to_owned()).await;
    assert!(refused.contains("mail.from"), "{refused}");
    let refused = refusal(|settings| settings.own.mail.url = "imap://x".into()).await;
    assert!(refused.contains("mail.url"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tables_stop_the_start_and_say_what_to_run() {
    let refused = refusal(|_| {}).await;
    assert!(refused.contains("waypost migrate"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_ready_with_database_and_broker() {
    let world = World::production().await;
    let worker = world.worker().await;
    eventually(SOON, || async { worker.get("/readyz").await.0 == 200 }).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_broker_starts_and_is_not_ready() {
    let mut world = World::production().await;
    let nobody = Port::reserve();
    world.settings.broker.url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", nobody.number()).into();
    let worker = world.worker().await;
    let (status, body) = worker.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("\"broker\":\"down\""), "{body}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_older_than_the_worker_make_it_not_ready_and_are_named() {
    for world in [World::production().await, World::embedded().await] {
        let worker = world.worker().await;
        eventually(SOON, || async { worker.get("/readyz").await.0 == 200 }).await;
        world
            .execute("UPDATE seaql_migrations SET version = 'x' || version")
            .await;
        let (status, body) = worker.get("/readyz").await;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("waypost migrate"), "{body}");
        world
            .execute("UPDATE seaql_migrations SET version = substr(version, 2)")
            .await;
        eventually(SOON, || async { worker.get("/readyz").await.0 == 200 }).await;
    }
}
