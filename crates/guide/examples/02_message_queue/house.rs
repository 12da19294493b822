//! What the example's parts stand on: tables in a file, a broker in memory or a RabbitMQ, metrics, tasks.

use std::time::Duration;

use common::config::{Service, Settings};
use common::messaging::{Broker, Changes, Consumer, ConsumerOptions};
use common::process::Tasks;
use common::telemetry::Metrics;
use contracts::topology::{EMAIL_WORKER_EVENTS, Queue};
use test_support::PrivateRabbit;

use crate::tables::Tables;

/// One service, which does what three do elsewhere: all of them share its tables, to be short.
pub(crate) struct House {
    settings: Settings,
    pub(crate) tables: Tables,
    pub(crate) changes: Changes,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) rabbit: Option<PrivateRabbit>,
}

impl House {
    pub(crate) async fn open(rabbit: Option<PrivateRabbit>) -> anyhow::Result<Self> {
        let service = Service::EmailWorker;
        let mut settings = Settings::for_tests(service);
        if let Some(rabbit) = &rabbit {
            settings.broker.url = rabbit.url().into();
        }
        let tables = Tables::open(&mut settings).await?;
        Ok(Self {
            changes: Changes::new(service, tables.database.clone()),
            settings,
            tables,
            metrics: Metrics::new(service),
            tasks: Tasks::new(service),
            rabbit,
        })
    }

    /// A connection to the RabbitMQ, or a new broker in memory, with new tasks to work on it.
    pub(crate) fn connect(&mut self) -> anyhow::Result<Broker> {
        self.tasks = Tasks::new(Service::EmailWorker);
        Ok(match &self.rabbit {
            Some(_) => Broker::connect(&self.settings, &self.tasks, &self.metrics)?,
            None => Broker::memory(),
        })
    }

    /// A queue, and what becomes of its messages.
    pub(crate) fn consumer<I>(&self, queue: Queue, intake: I) -> Consumer<I> {
        let (changes, options) = (self.changes.clone(), ConsumerOptions::new(&self.settings));
        Consumer {
            queue,
            intake,
            changes,
            options,
        }
    }

    /// The broker is killed. One in memory goes with all that it held, and with whoever worked on it.
    pub(crate) async fn broker_goes(&mut self) {
        match &mut self.rabbit {
            Some(rabbit) => rabbit.kill(),
            None => drop(self.tasks.shut_down(Duration::ZERO).await),
        }
    }

    /// How many messages email-worker has acknowledged.
    pub(crate) fn acknowledged(&self) -> i64 {
        let text = self.metrics.render();
        let wanted = [EMAIL_WORKER_EVENTS.name, "outcome=\"ack\""];
        let line = text.lines().find(|line| wanted.iter().all(|part| line.contains(part)));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }
}
