//! Tables that keep themselves small: what goes, what stays, and by whom.

use std::time::Duration;

use common::Timestamp;
use common::config::{Service, Settings};
use common::database::Database;
use common::dispatch::Status;
use common::process::Tasks;
use common::retention::{
    DELIVERIES, DELIVERY_ATTEMPTS, Found, INBOX, MIGRATIONS, OPERATIONS_AUDIT, OUTBOX, OUTBOX_KAFKA, Pruned, Pruner,
    Table,
};
use common::telemetry::Metrics;
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, Iterable, Statement, Value};
use test_support::{TestDatabase, eventually};
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Uuid};

const SOON: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_hours(24);
const TABLES: &[Table] = &[
    INBOX,
    DELIVERY_ATTEMPTS,
    DELIVERIES,
    OPERATIONS_AUDIT,
    OUTBOX,
    OUTBOX_KAFKA,
    MIGRATIONS,
];

struct Fixture {
    database: Database,
    settings: Settings,
    now: Timestamp,
    kept: TestDatabase,
}

impl Fixture {
    async fn postgres() -> Self {
        let kept = TestDatabase::postgres().await;
        kept.execute("CREATE SCHEMA email_worker").await;
        Self::with(kept).await
    }

    async fn both() -> [Self; 2] {
        [Self::postgres().await, Self::with(TestDatabase::sqlite()).await]
    }

    async fn with(kept: TestDatabase) -> Self {
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = kept.url().into();
        let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
        let migrations = migrations::of(Owner::EmailWorker);
        migrations.up(database.unguarded(), None).await.unwrap();
        let now = Timestamp::now();
        Self {
            database,
            settings,
            now,
            kept,
        }
    }

    fn pruner(&self, metrics: &Metrics) -> Pruner {
        Pruner::new(&self.settings, self.database.clone(), TABLES, metrics.clone())
    }

    async fn run(&self) -> Pruned {
        let pruner = self.pruner(&Metrics::new(Service::EmailWorker));
        pruner.run(self.now, &CancellationToken::new()).await.unwrap()
    }

    fn ago(&self, days: u32) -> Timestamp {
        self.now - DAY * days
    }

    async fn execute(&self, sql: &str, values: impl IntoIterator<Item = Value>) {
        let statement = Statement::from_sql_and_values(self.database.read().get_database_backend(), sql, values);
        self.database.unguarded().execute_raw(statement).await.unwrap();
    }

    async fn count(&self, from: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) AS n FROM {from}");
        let statement = Statement::from_string(self.database.read().get_database_backend(), sql);
        let row = self.database.read().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    /// So many messages that were taken in so many days ago.
    async fn taken_in(&self, messages: usize, days: u32) {
        for _ in 0..messages.div_ceil(500) {
            let rows: Vec<_> = (0..messages.min(500))
                .map(|_| {
                    let mark = if self.database.is_postgres() { "" } else { "x" };
                    let (id, at) = (Uuid::now_v7().simple(), self.ago(days).as_micros());
                    format!("('q', {mark}'{id}', {at})")
                })
                .collect();
            let insert = format!(
                "INSERT INTO inbox (consumer, message_id, received_at) VALUES {}",
                rows.join(", ")
            );
            self.execute(&insert, []).await;
        }
    }

    async fn delivery(&self, status: &str, days: u32) -> Uuid {
        let sql = "INSERT INTO deliveries (id, source_event_id, channel, recipient, destination, status, next_attempt_at, \
                   payload, created_at, updated_at) VALUES ($1, $2, 'email', 'somebody', 'mail', $3, $4, '{}', $4, $4)";
        let (id, event, at) = (Uuid::now_v7(), Uuid::now_v7(), self.ago(days).as_micros());
        self.execute(sql, [id.into(), event.into(), status.into(), at.into()])
            .await;
        id
    }

    /// The id of a row that was made so many days ago.
    fn id(&self, days: u32) -> Uuid {
        let seconds = u64::try_from(self.ago(days).as_seconds()).unwrap();
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0))
    }

    async fn attempt(&self, days: u32) {
        let sql = "INSERT INTO delivery_attempts (id, delivery_id, attempt, at, provider, status) \
                   VALUES ($1, $2, 1, $3, 'mail', 'accepted')";
        let at = self.ago(days).as_micros();
        self.execute(sql, [self.id(days).into(), Uuid::now_v7().into(), at.into()])
            .await;
    }

    async fn audit(&self, days: u32) {
        let sql = "INSERT INTO operations_audit (id, at, who, action, target, reason, trace_id) \
                   VALUES ($1, $2, 'ada', 'breaker.set', 'sms', 'why', '')";
        self.execute(sql, [self.id(days).into(), self.ago(days).as_micros().into()])
            .await;
    }

    async fn event(&self, table: &str, days: u32) {
        let sql = format!(
            "INSERT INTO {table} (aggregate, message_id, type, headers, body, created_at) \
             VALUES ($1, $2, 't', '{{}}', $3, $4)"
        );
        let (id, at) = (Uuid::now_v7(), self.ago(days).as_micros());
        self.execute(&sql, [id.into(), id.into(), vec![b'x'].into(), at.into()])
            .await;
    }
}

fn gone(pruned: &Pruned) -> u64 {
    match pruned {
        Pruned::Done(gone) => gone.iter().map(|(_, rows)| rows).sum(),
        Pruned::Taken | Pruned::Lost => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_long_enough_goes_and_nothing_else() {
    for fixture in Fixture::both().await {
        // By default: the inbox and attempts 30 days, deliveries 90, the audit a year.
        for (days, messages) in [(29, 3), (31, 5)] {
            fixture.taken_in(messages, days).await;
            fixture.attempt(days).await;
        }
        for days in [89, 91] {
            for status in Status::iter() {
                fixture.delivery(status.as_str(), days).await;
            }
        }
        fixture.audit(364).await;
        fixture.audit(366).await;
        fixture.event("outbox", 10_000).await;
        // Seven days for what waits for Kafka, whether that outlet is on or not.
        for days in [6, 8] {
            fixture.event("outbox_kafka", days).await;
        }
        let expected = vec![
            ("inbox", 5),
            ("delivery_attempts", 1),
            ("deliveries", 6),
            ("operations_audit", 1),
            ("outbox_kafka", 1),
        ];
        assert_eq!(fixture.run().await, Pruned::Done(expected));
        for (from, rows) in [
            ("inbox", 3),
            ("delivery_attempts", 1),
            ("deliveries WHERE status IN ('pending', 'sending')", 4),
            ("deliveries", 10),
            ("operations_audit", 1),
            ("outbox", 1),
            ("outbox_kafka", 1),
        ] {
            assert_eq!(fixture.count(from).await, rows, "{from}");
        }
        assert_eq!(gone(&fixture.run().await), 0, "there is nothing left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_by_the_thousand_go_in_batches_and_are_counted() {
    for fixture in Fixture::both().await {
        fixture.taken_in(1_500, 31).await;
        let metrics = Metrics::new(Service::EmailWorker);
        let pruner = fixture.pruner(&metrics);
        // Asked to stop before it begins, it ends after one batch.
        let stopping = CancellationToken::new();
        stopping.cancel();
        let first = pruner.run(fixture.now, &stopping).await.unwrap();
        assert_eq!(first, Pruned::Done(vec![("inbox", 500)]));
        // The server frees the lock a moment after its connection was closed.
        let rest = eventually(SOON, async || {
            let ended = pruner.run(fixture.now, &CancellationToken::new()).await.unwrap();
            (ended != Pruned::Taken).then_some(ended)
        });
        assert_eq!(gone(&rest.await), 1_000);
        let counted = "waypost_rows_pruned_total{service=\"email-worker\",table=\"inbox\"} 1500";
        assert!(metrics.render().contains(counted), "{}", metrics.render());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runners_one_has_the_right_to_it_and_no_row_is_counted_twice() {
    for fixture in Fixture::both().await {
        fixture.taken_in(3_000, 31).await;
        let (one, other) = tokio::join!(fixture.run(), fixture.run());
        assert_eq!(gone(&one) + gone(&other), 3_000, "{one:?} {other:?}");
        if fixture.database.is_postgres() {
            assert!([&one, &other].contains(&&Pruned::Taken), "{one:?} {other:?}");
        }
        assert_eq!(fixture.count("inbox").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_lock_is_gone_leaves_the_rest_to_the_next() {
    let fixture = Fixture::postgres().await;
    fixture.taken_in(10_000, 31).await;
    let running = fixture.run();
    let broken = async {
        let holders = "pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = \
                       current_database())";
        eventually(SOON, async || fixture.count(holders).await == 1).await;
        let end = format!("SELECT pg_terminate_backend(pid) FROM {holders}");
        fixture.kept.execute(&end).await;
    };
    let (ended, ()) = tokio::join!(running, broken);
    assert_eq!(ended, Pruned::Lost);
    let left = fixture.count("inbox").await;
    assert!(left > 0, "it had come to its end before its lock was gone");
    assert_eq!(gone(&fixture.run().await), u64::try_from(left).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_counts_what_would_go_and_deletes_nothing() {
    for fixture in Fixture::both().await {
        fixture.taken_in(1_000, 31).await;
        fixture.delivery("failed", 91).await;
        fixture.delivery("pending", 91).await;
        let found = fixture
            .pruner(&Metrics::new(Service::EmailWorker))
            .look(fixture.now)
            .await
            .unwrap();
        let expected = [
            ("inbox", 1_000),
            ("delivery_attempts", 0),
            ("deliveries", 1),
            ("operations_audit", 0),
            ("outbox_kafka", 0),
        ];
        let expected = expected.map(|(table, rows)| Found {
            table,
            rows,
            is_cut: false,
        });
        assert_eq!(found, expected);
        assert_eq!(fixture.count("inbox").await, 1_000);
        assert_eq!(fixture.count("deliveries").await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_prunes_by_itself_again_and_again() {
    let mut fixture = Fixture::with(TestDatabase::sqlite()).await;
    fixture.settings.retention.every = Duration::from_millis(20);
    let (tasks, metrics) = (Tasks::new(Service::EmailWorker), Metrics::new(Service::EmailWorker));
    fixture.pruner(&metrics).spawn(&tasks);
    for _ in 0..2 {
        fixture.taken_in(7, 31).await;
        eventually(SOON, async || fixture.count("inbox").await == 0).await;
    }
    let counted = "waypost_rows_pruned_total{service=\"email-worker\",table=\"inbox\"} 14";
    eventually(SOON, async || metrics.render().contains(counted)).await;
    tasks.stopping().cancel();
}
