//! The dispatcher's promises, on PostgreSQL and on SQLite.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::Timestamp;
use common::config::{Service, Settings};
use common::database::Database;
use common::dispatch::{
    Delivery, DispatchOptions, NewDelivery, Outcome, Reason, Sender, Settled, Status, Waker, delivery, enqueue,
    insert_settled, spawn_dispatcher,
};
use common::process::Tasks;
use common::telemetry::{Metrics, TraceContext};
use migrations::MigratorTrait;
use migrations::email_worker::Migrator;
use opentelemetry::trace::TracerProvider;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, Statement};
use test_support::TestDatabase;
use tokio::sync::Semaphore;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use uuid::Uuid;

/// No step here takes near so long; a busy machine may.
const DEADLINE: Duration = Duration::from_secs(20);

macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod postgres { $(#[tokio::test] async fn $name() { super::$name(super::Bench::postgres().await).await; })* }
        mod sqlite { $(#[tokio::test] async fn $name() { super::$name(super::Bench::sqlite().await).await; })* }
    };
}

on_both_databases!(
    two_dispatchers_never_send_the_same_row_twice,
    a_lease_that_runs_out_is_claimed_again_and_the_late_result_is_refused,
    a_slow_send_keeps_its_lease,
    final_states_are_final,
    a_retry_comes_when_the_schedule_says,
    what_has_expired_is_not_sent,
    a_hanging_destination_does_not_hold_up_another,
    a_dispatcher_that_is_killed_leaves_nothing_for_ever,
    a_stop_hands_back_what_does_not_finish,
    an_unavailable_destination_costs_no_attempt_and_rests,
    an_outcome_that_cannot_be_recorded_is_recorded_later_and_not_sent_again,
    a_send_that_is_done_is_not_made_again_however_late_it_can_be_recorded,
    a_lease_is_kept_until_the_outcome_is_recorded,
    what_no_database_takes_is_recorded_without_it,
    a_wish_to_be_called_later_is_kept_for_the_whole_destination,
    a_sender_that_panics_is_tried_again,
    one_event_makes_one_delivery,
    a_send_continues_the_trace_that_asked_for_it,
);

struct Bench {
    database: Database,
    settings: Settings,
    _kept: TestDatabase,
}

impl Bench {
    async fn postgres() -> Self {
        let kept = TestDatabase::postgres().await;
        kept.execute("CREATE SCHEMA email_worker").await;
        Self::with(kept).await
    }

    async fn sqlite() -> Self {
        Self::with(TestDatabase::sqlite()).await
    }

    async fn with(kept: TestDatabase) -> Self {
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = kept.url().into();
        settings.database.max_connections = 8;
        let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
        Migrator::up(database.write(), None).await.unwrap();
        Self {
            database,
            settings,
            _kept: kept,
        }
    }

    fn options(&self) -> DispatchOptions {
        DispatchOptions {
            retry_delays: vec![Duration::from_millis(100), Duration::from_millis(300)],
            poll: Duration::from_millis(50),
            ..DispatchOptions::new(&self.settings, &["test"])
        }
    }

    async fn add(&self, destination: &str, count: usize) -> Vec<Uuid> {
        let mut ids = vec![];
        for _ in 0..count {
            let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), destination.into());
            ids.extend(enqueue(self.database.write(), new, Timestamp::now()).await.unwrap());
        }
        ids
    }

    async fn row(&self, id: Uuid) -> Delivery {
        delivery::Entity::find_by_id(id)
            .one(self.database.read())
            .await
            .unwrap()
            .unwrap()
    }

    async fn all_reach(&self, ids: &[Uuid], status: Status) {
        self.until(|rows| {
            ids.iter()
                .all(|id| rows.iter().any(|row| row.id == *id && row.status == status))
        })
        .await;
    }

    async fn until(&self, holds: impl Fn(&[Delivery]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rows = delivery::Entity::find().all(self.database.read()).await.unwrap();
            if holds(&rows) {
                return;
            }
            assert!(Instant::now() < deadline, "{rows:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn start(&self, sender: &Scripted, options: DispatchOptions) -> Running {
        let (tasks, metrics) = (Tasks::new(Service::EmailWorker), Metrics::new(Service::EmailWorker));
        let waker = spawn_dispatcher(self.database.clone(), sender.clone(), options, metrics.clone(), &tasks);
        Running { tasks, metrics, waker }
    }

    async fn recorded(&self) -> usize {
        let backend = self.database.read().get_database_backend();
        let rows = self
            .database
            .read()
            .query_all_raw(Statement::from_string(backend, "SELECT * FROM inbox"))
            .await;
        rows.unwrap().len()
    }
}

struct Running {
    tasks: Tasks,
    metrics: Metrics,
    waker: Waker,
}

impl Running {
    async fn stop(&self) {
        self.tasks.shut_down(DEADLINE).await.unwrap();
    }
}

type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Script = Arc<dyn Fn(&Delivery, usize) -> Answer + Send + Sync>;

/// A sender that does what a test says; its script is given the number of the send, from 0.
#[derive(Clone)]
struct Scripted {
    script: Script,
    sent: Arc<Mutex<Vec<Uuid>>>,
    refuse_records: Arc<Mutex<usize>>,
}

impl Scripted {
    fn new(script: impl Fn(&Delivery, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            sent: Arc::default(),
            refuse_records: Arc::default(),
        }
    }

    fn accepting() -> Self {
        Self::new(|_, _| Box::pin(async { accepted("x") }))
    }

    fn sent(&self) -> Vec<Uuid> {
        self.sent.lock().unwrap().clone()
    }

    async fn until_sent(&self, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.sent().len() < count {
            assert!(Instant::now() < deadline, "{} sent", self.sent().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Sender for Scripted {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(delivery.id);
            sent.len() - 1
        };
        (self.script)(delivery, number).await
    }

    /// One row a final outcome; a second one for the same delivery breaks the key.
    async fn record(&self, tx: &DatabaseTransaction, delivery: &Delivery, outcome: &Outcome) -> Result<(), DbErr> {
        if matches!(outcome, Outcome::Retry { .. } | Outcome::Unavailable { .. }) {
            return Ok(());
        }
        let sql = "INSERT INTO inbox (consumer, message_id, received_at) VALUES ('test', $1, 0)";
        let values = [delivery.id.into()];
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values))
            .await?;
        let mut refusals = self.refuse_records.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(DbErr::Custom("on purpose".into()));
        }
        Ok(())
    }
}

fn accepted(id: &str) -> Outcome {
    Outcome::Accepted {
        provider_message_id: Some(id.into()),
    }
}

async fn two_dispatchers_never_send_the_same_row_twice(bench: Bench) {
    let ids = bench.add("a", 100).await;
    let more = bench.add("b", 100).await;
    let sender = Scripted::accepting();
    let (one, two) = (
        bench.start(&sender, bench.options()),
        bench.start(&sender, bench.options()),
    );
    bench.all_reach(&[ids, more].concat(), Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    let sent = sender.sent();
    assert_eq!(sent.len(), 200);
    assert_eq!(sent.iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(bench.recorded().await, 200);
}

async fn a_lease_that_runs_out_is_claimed_again_and_the_late_result_is_refused(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    let waits = gates.clone();
    let sender = Scripted::new(move |_, number| {
        let gate = Arc::clone(&waits[number]);
        Box::pin(async move {
            let _ = gate.acquire().await;
            accepted(["late", "in time"][number])
        })
    });
    // The first holder gives no sign of life before the lease is over, and claims nothing more.
    let silent = DispatchOptions {
        lease: Duration::from_millis(300),
        renew: DEADLINE,
        ..bench.options()
    };
    let first = bench.start(&sender, silent);
    sender.until_sent(1).await;
    first.tasks.stopping().cancel();
    let second = bench.start(&sender, bench.options());
    sender.until_sent(2).await;
    // The late result comes while the second holder is at work: the status alone would let it in.
    gates[0].add_permits(1);
    first.stop().await;
    let row = bench.row(ids[0]).await;
    assert_eq!(
        (row.status, row.lease_number, bench.recorded().await),
        (Status::Sending, 2, 0)
    );
    gates[1].add_permits(1);
    bench.all_reach(&ids, Status::Accepted).await;
    second.stop().await;
    let row = bench.row(ids[0]).await;
    assert_eq!(row.provider_message_id.as_deref(), Some("in time"));
    assert_eq!((row.attempts, bench.recorded().await), (2, 1));
}

async fn a_slow_send_keeps_its_lease(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let sender = Scripted::new(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            accepted("x")
        })
    });
    let (lease, renew) = (Duration::from_millis(600), Duration::from_millis(100));
    let options = DispatchOptions {
        lease,
        renew,
        ..bench.options()
    };
    let (one, two) = (bench.start(&sender, options.clone()), bench.start(&sender, options));
    bench.all_reach(&ids, Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    assert_eq!(sender.sent().len(), 1);
}

async fn final_states_are_final(bench: Bench) {
    let mut before = vec![];
    for status in [
        Status::Accepted,
        Status::Delivered,
        Status::Failed,
        Status::Suppressed,
        Status::Expired,
    ] {
        let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
        let settled = Settled {
            status,
            reason: Reason::Rejected,
            provider_message_id: None,
        };
        let id = insert_settled(bench.database.write(), new, settled, Timestamp::now())
            .await
            .unwrap()
            .unwrap();
        before.push(bench.row(id).await);
    }
    let live = bench.add("a", 1).await;
    let sender = Scripted::accepting();
    let running = bench.start(&sender, bench.options());
    bench.all_reach(&live, Status::Accepted).await;
    running.stop().await;
    assert_eq!(sender.sent(), live);
    for row in before {
        assert_eq!(bench.row(row.id).await, row);
    }
}

async fn a_retry_comes_when_the_schedule_says(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let times = Arc::new(Mutex::new(vec![]));
    let tries = Arc::clone(&times);
    let sender = Scripted::new(move |_, number| {
        tries.lock().unwrap().push(Instant::now());
        Box::pin(async move {
            match number {
                0 | 1 => Outcome::Retry {
                    error: "not now".into(),
                    after: None,
                },
                _ => accepted("x"),
            }
        })
    });
    let running = bench.start(&sender, bench.options());
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let times = times.lock().unwrap().clone();
    assert!(times[1] - times[0] >= Duration::from_millis(100));
    assert!(times[2] - times[1] >= Duration::from_millis(300));
    let row = bench.row(ids[0]).await;
    assert_eq!(
        (row.attempts, row.reason, row.last_error),
        (3, Some(Reason::Accepted), None)
    );
}

async fn what_has_expired_is_not_sent(bench: Bench) {
    let mut new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
    new.expires_at = Some(Timestamp::now());
    let id = enqueue(bench.database.write(), new, Timestamp::now())
        .await
        .unwrap()
        .unwrap();
    let sender = Scripted::accepting();
    let running = bench.start(&sender, bench.options());
    bench.all_reach(&[id], Status::Expired).await;
    running.stop().await;
    assert!(sender.sent().is_empty());
    assert_eq!(bench.row(id).await.reason, Some(Reason::Expired));
}

async fn a_hanging_destination_does_not_hold_up_another(bench: Bench) {
    let stuck = bench.add("stuck", 60).await;
    let sender = Scripted::new(|delivery, _| {
        let hangs = delivery.destination == "stuck";
        Box::pin(async move {
            if hangs {
                std::future::pending().await
            } else {
                accepted("x")
            }
        })
    });
    let drain = Duration::ZERO;
    let options = DispatchOptions {
        places: 8,
        places_per_destination: 4,
        drain,
        ..bench.options()
    };
    let running = bench.start(&sender, options);
    // The stuck ones have all the places that they may have before the good ones are there.
    sender.until_sent(4).await;
    let good = bench.add("good", 30).await;
    bench.all_reach(&good, Status::Accepted).await;
    let started = sender.sent().iter().filter(|id| stuck.contains(id)).count();
    assert_eq!(started, 4, "the cap of one destination");
    let due = "waypost_delivery_oldest_due_seconds{service=\"email-worker\",channel=\"test\"}";
    assert!(running.metrics.render().contains(due));
    running.stop().await;
}

async fn a_dispatcher_that_is_killed_leaves_nothing_for_ever(bench: Bench) {
    let ids = bench.add("a", 10).await;
    let (lease, renew) = (Duration::from_millis(500), Duration::from_millis(100));
    let options = DispatchOptions {
        lease,
        renew,
        ..bench.options()
    };
    let hanging = Scripted::new(|_, _| Box::pin(std::future::pending()));
    let killed = bench.start(&hanging, options.clone());
    hanging.until_sent(10).await;
    assert!(
        killed.tasks.shut_down(Duration::ZERO).await.is_err(),
        "cut off in the middle"
    );
    let sender = Scripted::accepting();
    let running = bench.start(&sender, options);
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!(sender.sent().len(), 10);
}

async fn a_stop_hands_back_what_does_not_finish(bench: Bench) {
    let ids = bench.add("a", 2).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            accepted("finished")
        })
    });
    let running = bench.start(
        &sender,
        DispatchOptions {
            drain: Duration::from_secs(1),
            ..bench.options()
        },
    );
    sender.until_sent(2).await;
    running.stop().await;
    let rows = [bench.row(ids[0]).await, bench.row(ids[1]).await];
    let state = |status| rows.iter().find(|row| row.status == status).unwrap();
    assert_eq!(
        (state(Status::Pending).attempts, state(Status::Pending).lease_until),
        (0, None)
    );
    assert_eq!(state(Status::Accepted).attempts, 1);
}

async fn an_unavailable_destination_costs_no_attempt_and_rests(bench: Bench) {
    let ids = bench.add("a", 40).await;
    let until = Instant::now() + Duration::from_secs(1);
    let sender = Scripted::new(move |_, _| {
        Box::pin(async move {
            match until.checked_duration_since(Instant::now()) {
                Some(after) => Outcome::Unavailable { after },
                None => accepted("x"),
            }
        })
    });
    let running = bench.start(
        &sender,
        DispatchOptions {
            places_per_destination: 4,
            ..bench.options()
        },
    );
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    for id in ids {
        assert_eq!(bench.row(id).await.attempts, 1);
    }
    let tries = sender.sent().len();
    assert!(
        tries < 60,
        "{tries} tries for 40 rows: a destination that rests is not asked again and again"
    );
}

async fn an_outcome_that_cannot_be_recorded_is_recorded_later_and_not_sent_again(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let sender = Scripted::accepting();
    *sender.refuse_records.lock().unwrap() = 2;
    let running = bench.start(&sender, bench.options());
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!((sender.sent().len(), bench.recorded().await), (1, 1));
}

/// As after a while without the database: leases have run out, and outcomes wait to be recorded.
async fn a_send_that_is_done_is_not_made_again_however_late_it_can_be_recorded(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let sender = Scripted::accepting();
    *sender.refuse_records.lock().unwrap() = 3;
    let options = DispatchOptions {
        lease: Duration::from_millis(200),
        renew: DEADLINE,
        ..bench.options()
    };
    let running = bench.start(&sender, options);
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!((sender.sent().len(), bench.recorded().await), (1, 1));
}

/// Another dispatcher must see the lease renewed for as long as an outcome waits to be recorded.
async fn a_lease_is_kept_until_the_outcome_is_recorded(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let sender = Scripted::accepting();
    *sender.refuse_records.lock().unwrap() = 3;
    let options = DispatchOptions {
        lease: Duration::from_millis(600),
        renew: Duration::from_millis(100),
        ..bench.options()
    };
    let (one, two) = (bench.start(&sender, options.clone()), bench.start(&sender, options));
    bench.all_reach(&ids, Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    assert_eq!((sender.sent().len(), bench.recorded().await), (1, 1));
}

async fn what_no_database_takes_is_recorded_without_it(bench: Bench) {
    let ids = bench.add("a", 2).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            match number {
                0 => accepted(&format!("SM\0{}", "1".repeat(100_000))),
                _ => Outcome::Failed {
                    reason: Reason::Rejected,
                    error: "no\0\r\n".repeat(100_000),
                },
            }
        })
    });
    let running = bench.start(&sender, bench.options());
    bench
        .until(|rows| {
            rows.iter()
                .all(|row| [Status::Accepted, Status::Failed].contains(&row.status))
        })
        .await;
    running.stop().await;
    assert_eq!(sender.sent().len(), 2);
    let rows = [bench.row(ids[0]).await, bench.row(ids[1]).await];
    let id = rows.iter().find_map(|row| row.provider_message_id.clone()).unwrap();
    assert!(id.starts_with("SM11") && id.len() == 200, "{id}");
    let error = rows.iter().find_map(|row| row.last_error.clone()).unwrap();
    assert!(error.starts_with("nono") && error.len() == 500, "{error}");
}

async fn a_wish_to_be_called_later_is_kept_for_the_whole_destination(bench: Bench) {
    let ids = bench.add("a", 20).await;
    let began = Instant::now();
    let sender = Scripted::new(move |_, _| {
        let outcome = if began.elapsed() < Duration::from_millis(900) {
            // "At once" is no time to wait: it would be asked again without end.
            Outcome::Retry {
                error: "HTTP 429".into(),
                after: Some(Duration::ZERO),
            }
        } else {
            accepted("x")
        };
        Box::pin(async move { outcome })
    });
    let options = DispatchOptions {
        places_per_destination: 4,
        ..bench.options()
    };
    let running = bench.start(&sender, options);
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let tries = sender.sent().len();
    assert!(
        tries <= 28,
        "{tries} tries for 20 rows: the wish was kept for some only"
    );
}

async fn a_sender_that_panics_is_tried_again(bench: Bench) {
    let ids = bench.add("a", 1).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            assert!(number > 0, "on purpose");
            accepted("x")
        })
    });
    let running = bench.start(&sender, bench.options());
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!(bench.row(ids[0]).await.attempts, 2);
}

async fn one_event_makes_one_delivery(bench: Bench) {
    let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
    let again = NewDelivery {
        id: Uuid::now_v7(),
        ..new.clone()
    };
    let now = Timestamp::now();
    let tx = bench.database.begin().await.unwrap();
    assert_eq!(enqueue(&tx, new.clone(), now).await.unwrap(), Some(new.id));
    assert_eq!(enqueue(&tx, again, now).await.unwrap(), None);
    tx.commit().await.unwrap();
    let sender = Scripted::accepting();
    let slow = DispatchOptions {
        poll: DEADLINE,
        ..bench.options()
    };
    let running = bench.start(&sender, slow);
    running.waker.wake();
    bench.all_reach(&[new.id], Status::Accepted).await;
    running.stop().await;
    assert_eq!(sender.sent().len(), 1);
}

async fn a_send_continues_the_trace_that_asked_for_it(bench: Bench) {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing_subscriber::registry().with(layer).set_default();
    let asked = TraceContext::parse(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None).unwrap();
    let ids = {
        let _context = asked.to_context().attach();
        let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
        vec![
            enqueue(bench.database.write(), new, Timestamp::now())
                .await
                .unwrap()
                .unwrap(),
        ]
    };
    let seen = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&seen);
    let sender = Scripted::new(move |_, _| {
        let inside = Arc::clone(&inside);
        Box::pin(async move {
            *inside.lock().unwrap() = Some(TraceContext::current());
            accepted("x")
        })
    });
    let running = bench.start(&sender, bench.options());
    bench.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let seen = seen.lock().unwrap().clone().unwrap();
    assert_eq!(seen.trace_id(), asked.trace_id());
    assert_ne!(seen, asked, "the send has a span of its own");
}
