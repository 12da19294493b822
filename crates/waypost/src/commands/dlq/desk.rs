//! What the commands work on: the dead letters of each queue, at its own broker and beside its consumer's own database.

use std::time::Duration;

use anyhow::{Context, bail};
use common::config::{BrokerUrl, Service, Settings};
use common::database::Database;
use common::messaging::{Broker, Changes, DeadLetters};
use common::process::{State, Tasks};
use common::telemetry::{Metrics, Telemetry};
use contracts::topology::{QUEUES, Queue};
use tokio::time::{Instant, sleep};

use crate::settings::Programs;

/// Longest that the broker is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest that tasks may take to end, and the last spans to go out.
const END: Duration = Duration::from_secs(3);

/// A queue and what its dead letters are worked on with.
pub(super) struct Place {
    pub(super) queue: Queue,
    pub(super) letters: DeadLetters,
    /// Where actions are written down.
    pub(super) changes: Changes,
    database: Database,
}

/// All queues that are looked at.
pub(super) struct Desk {
    pub(super) places: Vec<Place>,
    telemetry: Telemetry,
    tasks: Tasks,
}

impl Desk {
    /// Opens the place of one queue, or of every queue.
    pub(super) async fn open(queue: Option<&str>) -> anyhow::Result<Self> {
        let programs = Programs::load()?;
        let mut own = programs.waypost.clone();
        // The libraries log much about a broker that is away; this command says it in one line.
        "off".clone_into(&mut own.telemetry.log_filter);
        // Replays are rare and made on purpose: every trace of one is recorded.
        own.telemetry.sample_ratio = 1.0;
        let mut desk = Self {
            places: Vec::new(),
            telemetry: Telemetry::start(Service::Waypost, &own)?,
            tasks: Tasks::new(Service::Waypost),
        };
        for place in QUEUES
            .iter()
            .filter(|known| queue.is_none_or(|wanted| wanted == known.name))
        {
            let services = programs.with_database();
            let owner = services
                .into_iter()
                .find(|(service, _)| place.name.split('.').next() == Some(service.name()));
            let (service, settings) = owner.with_context(|| format!("no service reads {}", place.name))?;
            let place = desk.place(*place, service, settings).await?;
            desk.places.push(place);
        }
        Ok(desk)
    }

    async fn place(&self, queue: Queue, service: Service, settings: &Settings) -> anyhow::Result<Place> {
        let database = Database::connect(settings, service).await?;
        let broker = match settings.broker.url {
            BrokerUrl::Memory => Broker::memory(),
            BrokerUrl::Nodes(_) => {
                let broker = Broker::connect(settings, &self.tasks, &Metrics::new(Service::Waypost))?;
                connected(&broker, service).await?;
                broker
            }
        };
        Ok(Place {
            queue,
            letters: broker.letters(queue, database.clone()),
            changes: Changes::new(service, database.clone()),
            database,
        })
    }

    /// Closes the connections to brokers and databases, and sends the spans that are left.
    pub(super) async fn close(self) {
        let _ = self.tasks.shut_down(END).await;
        for place in self.places {
            place.database.close().await;
        }
        self.telemetry.stop(END).await;
    }
}

async fn connected(broker: &Broker, service: Service) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while broker.state() != State::Up {
        if Instant::now() >= deadline {
            let cure = broker.finding().cure;
            let cure = cure.unwrap_or("is it up? set WAYPOST__BROKER__URL".into());
            bail!("no connection to the broker of {service}: {cure}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
