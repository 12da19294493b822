//! That a stand-by asks to lead, however often it is woken.

use std::sync::atomic::{AtomicU64, Ordering};

use test_support::TestDatabase;

use super::*;
use crate::config::{Service, Settings};
use crate::database::Database;

#[tokio::test]
async fn a_stand_by_whose_commits_never_cease_asks_to_lead_all_the_same() {
    let kept = TestDatabase::sqlite();
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = kept.url().into();
    let relay = Relay {
        rows: Rows {
            database: Database::connect(&settings, Service::EmailWorker).await.unwrap(),
            table: "outbox",
        },
        outlet: Outlet::Broker(Broker::memory()),
        committed: Arc::new(Notify::new()),
        metrics: Metrics::new(Service::EmailWorker),
        stopping: CancellationToken::new(),
    };
    let mut leadership = Leadership::of(&relay.rows.database, relay.outlet.right());
    let commits = AtomicU64::new(0);
    let committing = async {
        loop {
            commits.fetch_add(1, Ordering::Relaxed);
            relay.committed.notify_one();
            tokio::task::yield_now().await;
        }
    };
    let standing_by = timeout(POLL * 10, relay.stand_by(&mut leadership));
    tokio::select! {
        asked = standing_by => assert!(asked.is_ok(), "it stands by for ever"),
        () = committing => {}
    }
    assert!(commits.into_inner() > 1);
}
