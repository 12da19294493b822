//! What follows a change runs after its commit, in order, and never otherwise.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::messaging::Step;
use tokio::time::Instant;

use crate::messaging::fixture::{Store, someone};

#[tokio::test]
async fn follow_ups_run_after_the_commit_and_in_their_order() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let steps = Arc::clone(&seen);
        let changes = store
            .changes()
            .observed(move |step: Step| steps.lock().unwrap().push(format!("{step:?}")));
        let mut change = changes.begin().await.unwrap();
        change.tell(&someone()).unwrap();
        for name in ["first", "second"] {
            let seen = Arc::clone(&seen);
            change.then(async move { seen.lock().unwrap().push(name.to_owned()) });
        }

        change.commit().await.unwrap();

        let expected = ["EventsWritten", "Committed", "Woken", "first", "second"];
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_eq!(store.outbox_rows().await, 1);
    }
}

#[tokio::test]
async fn a_change_that_is_taken_back_or_dropped_has_no_event_and_no_follow_up() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let followed = Arc::new(Mutex::new(false));
        for takes_back in [true, false] {
            let mut change = store.changes().begin().await.unwrap();
            change.tell(&someone()).unwrap();
            let followed = Arc::clone(&followed);
            change.then(async move { *followed.lock().unwrap() = true });
            if takes_back {
                change.roll_back().await;
            }
        }
        assert_eq!(store.outbox_rows().await, 0);
        assert!(!*followed.lock().unwrap());
    }
}

#[tokio::test]
async fn a_follow_up_that_hangs_ends_with_the_time_of_the_change() {
    let store = Store::sqlite().await;
    let mut change = store.changes().begin().await.unwrap();
    change.tell(&someone()).unwrap();
    change.then(std::future::pending());

    let asked = Instant::now();
    change.commit().await.unwrap();

    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!(store.outbox_rows().await, 1);
}
