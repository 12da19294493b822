//! What the tests of the dispatcher stand on: a database, a sender that does what it is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::Timestamp;
use common::config::{Service, Settings};
use common::database::Database;
use common::dispatch::{
    Delivery, DispatchOptions, Dispatcher, NewDelivery, Outcome, Progress, RecordError, Sender, Status, Waker,
    delivery, enqueue,
};
use common::messaging::{Broker, Change, Changes};
use common::process::Tasks;
use common::telemetry::Metrics;
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Statement};
use test_support::TestDatabase;
use uuid::Uuid;

/// No step here takes near so long; a busy machine may.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A message's id that the sender makes of what PostgreSQL refuses.
pub(super) const REFUSED: &str = "refused";

pub(super) struct Fixture {
    pub(super) database: Database,
    pub(super) settings: Settings,
    pub(super) kept: TestDatabase,
}

impl Fixture {
    pub(super) async fn postgres() -> Self {
        let kept = TestDatabase::postgres().await;
        kept.execute("CREATE SCHEMA email_worker").await;
        Self::with(kept).await
    }

    pub(super) async fn sqlite() -> Self {
        Self::with(TestDatabase::sqlite()).await
    }

    async fn with(kept: TestDatabase) -> Self {
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = kept.url().into();
        settings.database.max_connections = 8;
        let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
        let migrations = migrations::of(Owner::EmailWorker);
        migrations.up(database.unguarded(), None).await.unwrap();
        Self {
            database,
            settings,
            kept,
        }
    }

    pub(super) fn options(&self) -> DispatchOptions {
        DispatchOptions {
            retry_delays: vec![Duration::from_millis(100), Duration::from_millis(300)],
            poll: Duration::from_millis(50),
            // All that these tests send is for one.
            places_per_recipient: usize::MAX >> 1,
            ..DispatchOptions::new(&self.settings, &["test"])
        }
    }

    pub(super) async fn add(&self, destination: &str, count: usize) -> Vec<Uuid> {
        self.add_for("somebody", destination, count).await
    }

    pub(super) async fn add_for(&self, recipient: &str, destination: &str, count: usize) -> Vec<Uuid> {
        let mut ids = vec![];
        for _ in 0..count {
            let new = NewDelivery::new(Uuid::now_v7(), "test", recipient.into(), destination.into());
            ids.extend(
                patiently(async || enqueue(self.database.unguarded(), new.clone(), Timestamp::now()).await).await,
            );
        }
        ids
    }

    pub(super) async fn row(&self, id: Uuid) -> Delivery {
        patiently(async || delivery::Entity::find_by_id(id).one(self.database.read()).await)
            .await
            .unwrap()
    }

    pub(super) async fn all_reach(&self, ids: &[Uuid], status: Status) {
        self.until(|rows| {
            ids.iter()
                .all(|id| rows.iter().any(|row| row.id == *id && row.status == status))
        })
        .await;
    }

    pub(super) async fn until(&self, holds: impl Fn(&[Delivery]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rows = patiently(async || delivery::Entity::find().all(self.database.read()).await).await;
            if holds(&rows) {
                return;
            }
            assert!(Instant::now() < deadline, "{rows:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn start(&self, sender: &Scripted, options: DispatchOptions) -> Running {
        Running::start(self.database.clone(), sender, options)
    }

    /// The same database by way of `proxy`.
    pub(super) async fn by(&self, proxy: &test_support::FaultProxy) -> Database {
        let mut settings = self.settings.clone();
        settings.database.url = proxy.url(self.kept.url()).into();
        Database::connect(&settings, Service::EmailWorker).await.unwrap()
    }

    /// Starts one whose database is reached through `proxy`.
    pub(super) async fn start_by(&self, proxy: &test_support::FaultProxy, sender: &Scripted) -> Running {
        Running::start(self.by(proxy).await, sender, self.leasing(4_000, 200))
    }

    pub(super) async fn rows(&self) -> Vec<Delivery> {
        delivery::Entity::find().all(self.database.read()).await.unwrap()
    }

    /// Whether a query on PostgreSQL finds anything.
    pub(super) async fn finds(&self, query: &str) -> bool {
        let query = Statement::from_string(self.database.read().get_database_backend(), query);
        self.database.read().query_one_raw(query).await.unwrap().is_some()
    }

    /// The usual options, but a lease of so many milliseconds, renewed this often.
    pub(super) fn leasing(&self, lease: u64, renew: u64) -> DispatchOptions {
        DispatchOptions {
            lease: Duration::from_millis(lease),
            renew: Duration::from_millis(renew),
            ..self.options()
        }
    }

    /// Has every lease run out, as it does when the database was away for long.
    pub(super) async fn end_leases(&self) {
        let end = "UPDATE deliveries SET lease_until = 0 WHERE status = 'sending'";
        self.database.unguarded().execute_unprepared(end).await.unwrap();
    }

    /// Has every lease given back, as another dispatcher does with those that have run out.
    pub(super) async fn give_leases_back(&self) {
        let back = "UPDATE deliveries SET status = 'pending', lease_until = NULL WHERE status = 'sending'";
        self.database.unguarded().execute_unprepared(back).await.unwrap();
    }

    pub(super) async fn recorded(&self) -> usize {
        let backend = self.database.read().get_database_backend();
        let rows = self
            .database
            .read()
            .query_all_raw(Statement::from_string(backend, "SELECT * FROM inbox"))
            .await;
        rows.unwrap().len()
    }
}

pub(super) struct Running {
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) waker: Waker,
}

impl Running {
    pub(super) fn start(database: Database, sender: &Scripted, options: DispatchOptions) -> Self {
        Self::beside(None, Tasks::new(Service::EmailWorker), (database, sender, options))
    }

    /// One that knows of others over a broker, which was connected for `tasks`.
    pub(super) fn beside(
        broker: Option<Broker>,
        tasks: Tasks,
        (database, sender, options): (Database, &Scripted, DispatchOptions),
    ) -> Self {
        let metrics = Metrics::new(Service::EmailWorker);
        let dispatcher = Dispatcher {
            changes: Changes::new(Service::EmailWorker, database),
            sender: sender.clone(),
            options,
            broker,
        };
        let waker = dispatcher.spawn(metrics.clone(), &tasks);
        Self { tasks, metrics, waker }
    }

    /// How many deliveries reached their end, by its metrics.
    pub(super) fn delivered(&self) -> usize {
        self.count("waypost_deliveries_total{service=\"email-worker\",channel=\"test\",status=\"accepted\"} ")
    }

    /// How many deliveries may arrive twice, for this cause.
    pub(super) fn maybe_sent(&self, cause: &str) -> usize {
        let series = "waypost_deliveries_maybe_sent_total{service=\"email-worker\",channel=\"test\",cause=";
        self.count(&format!("{series}\"{cause}\"}} "))
    }

    fn count(&self, series: &str) -> usize {
        let metrics = self.metrics.render();
        let count = metrics.lines().find_map(|line| line.strip_prefix(series));
        count.map_or(0, |count| count.parse().unwrap())
    }

    pub(super) async fn stop(&self) {
        self.tasks.shut_down(DEADLINE).await.unwrap();
    }
}

pub(super) type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;
pub(super) type Script = Arc<dyn Fn(&Delivery, usize) -> Answer + Send + Sync>;

/// Whether the send of this number begins.
pub(super) type Begins = fn(usize) -> bool;

/// A sender that does what a test says; its script is given the number of the send, from 0.
#[derive(Clone)]
pub(super) struct Scripted {
    script: Script,
    begins: Begins,
    sent: Arc<Mutex<Vec<Uuid>>>,
    pub(super) refuse_records: Arc<Mutex<usize>>,
}

impl Scripted {
    pub(super) fn new(script: impl Fn(&Delivery, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            begins: |_| true,
            sent: Arc::default(),
            refuse_records: Arc::default(),
        }
    }

    /// The same, but only those sends come to where the other side may have them.
    pub(super) fn beginning(self, begins: Begins) -> Self {
        Self { begins, ..self }
    }

    pub(super) fn accepting() -> Self {
        Self::new(|_, _| Box::pin(async { accepted("x") }))
    }

    pub(super) fn sent(&self) -> Vec<Uuid> {
        self.sent.lock().unwrap().clone()
    }

    pub(super) async fn until_sent(&self, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.sent().len() < count {
            assert!(Instant::now() < deadline, "{} sent", self.sent().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Sender for Scripted {
    async fn send(&self, delivery: &Delivery, progress: &Progress) -> Outcome {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(delivery.id);
            sent.len() - 1
        };
        if (self.begins)(number) {
            progress.begin();
        }
        (self.script)(delivery, number).await
    }

    /// One row a final outcome; a second one for the same delivery breaks the key.
    async fn record(&self, change: &mut Change, delivery: &Delivery, outcome: &Outcome) -> Result<(), RecordError> {
        let tx = change.tx();
        if matches!(
            outcome,
            Outcome::Retry { .. } | Outcome::Unknown { .. } | Outcome::Unavailable { .. }
        ) {
            return Ok(());
        }
        let sql = "INSERT INTO inbox (consumer, message_id, received_at) VALUES ('test', $1, 0)";
        let values = [delivery.id.into()];
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values))
            .await?;
        if matches!(outcome, Outcome::Accepted { provider_message_id } if provider_message_id.as_deref() == Some(REFUSED))
        {
            let text =
                Statement::from_sql_and_values(tx.get_database_backend(), "SELECT CAST($1 AS TEXT)", ["\0".into()]);
            tx.query_one_raw(text).await?;
        }
        let mut refusals = self.refuse_records.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(DbErr::Custom("on purpose".into()).into());
        }
        Ok(())
    }
}

pub(super) fn accepted(id: &str) -> Outcome {
    Outcome::Accepted {
        provider_message_id: Some(id.into()),
    }
}

/// What the test itself asks of the pool that its dispatchers use: on a busy machine these may hold every connection for
/// longer than the pool lets anybody wait. Nothing was done then, so it is asked again.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, DbErr>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match ask().await {
            Err(DbErr::ConnectionAcquire(_)) if Instant::now() < deadline => {}
            answer => return answer.unwrap(),
        }
    }
}
