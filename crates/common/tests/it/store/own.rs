//! A thread that serves requests has a connection of its own.

use std::time::Duration;

use common::{
    config::Service,
    process::Tasks,
    store::{Store, Timeouts},
};
use deadpool_redis::redis::{Client, cmd};
use test_support::{PrivateRedis, eventually};
use tokio::runtime::Builder;

const SOON: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(1);

/// Connections of clients to a Redis, without the one that asks.
async fn connections(redis: &PrivateRedis) -> Vec<String> {
    let client = Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let me: u64 = cmd("CLIENT").arg("ID").query_async(&mut connection).await.unwrap();
    let list: String = cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
    let ids = list
        .lines()
        .filter_map(|line| Some(line.split_once("id=")?.1.split_once(' ')?.0.to_owned()));
    ids.filter(|id| *id != me.to_string()).collect()
}

async fn kill(redis: &PrivateRedis, id: &str) {
    let client = Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut kill = cmd("CLIENT");
    kill.arg("KILL").arg("ID").arg(id);
    kill.query_async::<u64>(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_asks_for_one_has_a_connection_of_its_own_and_goes_on_without() {
    let redis = PrivateRedis::start().await;
    let tasks = Tasks::new(Service::UserApi);
    let timeouts = Timeouts {
        response: Duration::from_secs(5),
        connect: Duration::from_secs(5),
    };
    let store = Store::open(&redis.url(), "own", timeouts, &tasks).unwrap();
    assert!(store.connected(SOON).await);
    eventually(SOON, || async { connections(&redis).await.len() == 2 }).await;

    let (thread_store, (ask, asked), (answer, answered)) = (
        store.clone(),
        std::sync::mpsc::channel::<()>(),
        std::sync::mpsc::channel(),
    );
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            thread_store.connect_this_thread();
            // Its runtime must run for its connection to be made.
            let mut asked = asked;
            loop {
                let (next, back) = tokio::task::spawn_blocking(move || (asked.recv(), asked))
                    .await
                    .unwrap();
                asked = back;
                if next.is_err() {
                    break;
                }
                answer.send(thread_store.set("a", b"1", LONG).await.is_ok()).unwrap();
            }
        });
    });
    let works = || {
        ask.send(()).unwrap();
        answered.recv_timeout(SOON).unwrap()
    };
    eventually(SOON, || async { connections(&redis).await.len() == 3 }).await;
    assert!(works());

    // Whichever it uses: one try may fall on a connection that is gone, and then all is well again.
    for id in connections(&redis).await {
        kill(&redis, &id).await;
    }
    eventually(SOON, || async { works() }).await;
    eventually(SOON, || async { connections(&redis).await.len() == 3 }).await;

    // With the thread goes its connection, and nobody else's.
    drop(ask);
    thread.join().unwrap();
    eventually(SOON, || async { connections(&redis).await.len() == 2 }).await;
    assert!(store.set("a", b"2", LONG).await.is_ok());
    tasks.stopping().cancel();
}
