//! Waypost's own consumer, over its broker in memory and a SQLite file that is deleted in the end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::Timestamp;
use common::config::{Service, Settings};
use common::database::Database;
use common::messaging::{
    Broker, Change, Changes, Consumer, ConsumerOptions, Intake, Message, OutboundMessage, Rejection,
};
use common::process::Tasks;
use common::telemetry::{Metrics, TraceContext};
use contracts::Event;
use contracts::events::{Person, UserRegistered};
use contracts::topology::EMAIL_WORKER_EVENTS;
use migrations::{MigratorTraitSelf, Owner};
use parking_lot::Mutex;
use tokio::time::sleep;
use uuid::Uuid;

use crate::exercises::running::Measured;

/// Longest wait for what comes by itself.
const SOON: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What an intake says of a message, by the name of the person who signed up, and which attempt it is.
pub(super) type Says = fn(name: &str, attempt: u32) -> Result<(), Rejection>;

/// A consumer that runs, and what it was handed.
pub(super) struct House {
    folder: PathBuf,
    broker: Broker,
    metrics: Metrics,
    tasks: Tasks,
    calls: Arc<Mutex<usize>>,
}

struct Counted {
    calls: Arc<Mutex<usize>>,
    says: Says,
}

impl Intake for Counted {
    async fn take(&self, message: &Message, _change: &mut Change) -> Result<(), Rejection> {
        *self.calls.lock() += 1;
        let UserRegistered { person } = message.decode()?;
        (self.says)(&person.name, message.attempt)
    }
}

impl House {
    /// Begins to consume, with so many delay queues, each of this length.
    ///
    /// # Errors
    /// A sentence, when the database can't be made.
    pub(super) async fn open(delays: (usize, Duration), says: Says) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("waypost-exercise-{}", Uuid::now_v7().simple()));
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = format!("sqlite://{}?mode=rwc", folder.join("exercise.db").display()).into();
        settings.broker.retry_delays = vec![delays.1; delays.0];
        let database = Database::connect(&settings, Service::EmailWorker).await;
        let database = database.map_err(|error| error.to_string())?;
        let tables = migrations::of(Owner::EmailWorker).up(database.unguarded(), None).await;
        tables.map_err(|error| error.to_string())?;
        let (metrics, tasks) = (Metrics::new(Service::EmailWorker), Tasks::new(Service::EmailWorker));
        let (broker, calls) = (Broker::memory(), Arc::default());
        let consumer = Consumer {
            queue: EMAIL_WORKER_EVENTS,
            intake: Counted {
                calls: Arc::clone(&calls),
                says,
            },
            changes: Changes::new(Service::EmailWorker, database),
            options: ConsumerOptions::new(&settings),
        };
        broker.consume(consumer, &metrics, &tasks);
        Ok(Self {
            folder,
            broker,
            metrics,
            tasks,
            calls,
        })
    }

    /// Publishes in the background, because the broker in memory confirms a message only when it is settled for good.
    pub(super) fn publish(&self, message: OutboundMessage) {
        let broker = self.broker.clone();
        self.tasks.spawn("publish", async move {
            let _ = broker.publish(message).await;
        });
    }

    /// How many messages were settled with this outcome, as the consumer's metrics count them.
    pub(super) fn settled(&self, outcome: &str) -> f64 {
        let labels = [("queue", EMAIL_WORKER_EVENTS.name), ("outcome", outcome)];
        Measured::of(self.metrics.render()).sum("waypost_messages_total", &labels)
    }

    /// Waits until `reached` is true, for 20 s at most.
    ///
    /// # Errors
    /// A sentence, when it never does.
    pub(super) async fn until(&self, reached: impl Fn(&Self) -> bool) -> Result<(), String> {
        let looks = async {
            while !reached(self) {
                sleep(LOOK_EVERY).await;
            }
        };
        let done = tokio::time::timeout(SOON, looks).await;
        done.map_err(|_| {
            "The consumer did not get to its end in time; try again on a machine that does less.".to_owned()
        })
    }

    /// How often the intake was called.
    pub(super) fn calls(&self) -> usize {
        *self.calls.lock()
    }

    pub(super) async fn close(self) {
        let _ = self.tasks.shut_down(Duration::from_millis(500)).await;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The message that somebody of this name signed up.
///
/// # Errors
/// A sentence, when it can't be written.
pub(super) fn registered(name: &str) -> Result<OutboundMessage, String> {
    let user_id = Uuid::now_v7();
    let person = Person {
        user_id,
        name: name.to_owned(),
        ..Person::example()
    };
    let event = Event::new(user_id, Timestamp::now().to_offset(), UserRegistered { person });
    OutboundMessage::of(Service::UserApi, &event, TraceContext::fresh()).map_err(|error| error.to_string())
}
