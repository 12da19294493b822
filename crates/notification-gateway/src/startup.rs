//! How the gateway comes up: shared by the process, by `waypost run` and by the tests.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use common::config::Settings;
use common::database::Database;
use common::dispatch::{DispatchOptions, Dispatcher, Waker};
use common::http::{Doors, Surface, Verifier, serve};
use common::limits::Limiter;
use common::messaging::{Broker, Changes, Consumer, ConsumerOptions};
use common::outbound::{Destination, Outbound, OutboundClient};
use common::process::{Health, Need, State as Readiness, Tasks, operations};
use common::resilience::Breakers;
use common::store::Store;
use common::telemetry::Metrics;
use contracts::topology::GATEWAY_EVENTS;

use crate::channels::{Channel, Channels, Sms};
use crate::consumers::GatewayEvents;
use crate::live::Live;
use crate::published_keys::{self, PublishedKeys};
use crate::routes::routes;
use crate::state::State;

/// Calls at the SMS provider at a time.
const SMS_PLACES: usize = 32;

/// What the process may bring along.
#[derive(Default)]
pub struct Backends {
    /// A broker that is shared with other services of this process; otherwise the settings say where it is.
    pub broker: Option<Broker>,
}

/// A gateway that is up.
#[derive(Debug)]
pub struct Running {
    /// Where the public HTTP surface listens.
    pub http_address: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub operations_address: SocketAddr,
}

/// Starts the gateway; it ends with `tasks`.
///
/// # Errors
/// A port that is taken, an address that is none, tables that are missing. Servers that are away
/// are no error: the gateway waits for them.
pub async fn start(settings: Settings, backends: Backends, tasks: Tasks) -> anyhow::Result<Running> {
    let metrics = Metrics::new(tasks.service());
    let broker = match backends.broker {
        Some(broker) => broker,
        None => Broker::connect(&settings, &tasks, &metrics)?,
    };
    let tables: Arc<[String]> = migrations::notification_gateway::names().into();
    let database = Database::open(&settings, tasks.service(), &tables, &metrics).await?;

    // Holds the rate limits; without it they hold for this replica alone.
    let store = Store::connect(&settings, &tasks, &metrics)?;
    let outbound = Outbound {
        metrics: metrics.clone(),
        store: store.clone(),
        breakers: Breakers::default(),
    };
    let keys = published_keys(&settings, &outbound, &tasks)?;
    let sms = sms_client(&settings, &outbound)?;
    let channels = Channels {
        sms: Sms::new(settings.providers.sms.clone(), sms.clone())?,
    };

    // No relay: the gateway tells nobody of anything yet. Who adds the first `tell` adds `spawn_relay` here.
    let changes = Changes::new(tasks.service(), database.clone());
    let live = Live::spawn(database.clone(), &tasks);
    let options = DispatchOptions::new(&settings, &Channels::NAMES);
    let dispatcher = Dispatcher {
        changes: changes.clone(),
        sender: channels,
        options,
        broker: Some(broker.clone()),
    };
    let waker = dispatcher.spawn(metrics.clone(), &tasks);
    let consumer = Consumer {
        queue: GATEWAY_EVENTS,
        intake: GatewayEvents {
            live: live.clone(),
            dispatcher: waker.clone(),
        },
        changes: changes.clone(),
        options: ConsumerOptions::new(&settings),
    };
    let consuming = broker.consume(consumer, &metrics, &tasks);

    let health = health((database.clone(), tables), (broker, store.clone()), &keys, (sms, waker));
    health.register("consumer", Need::Optional, move || {
        std::future::ready(consuming.state())
    });
    let operations_address = operations::serve(&settings, health, metrics.clone(), &tasks)?;
    let stopping = tasks.stopping().clone();
    let surface = Surface {
        routes,
        state: Arc::new(State {
            database,
            changes,
            live,
            stopping,
        }),
        verifier: Verifier::new(keys),
        limiter: Limiter::new(&settings, tasks.service(), store.clone(), &metrics),
        store,
        doors: Doors::default(),
        metrics,
    };
    let http_address = serve(&settings, surface, &tasks)?;
    Ok(Running {
        http_address,
        operations_address,
    })
}

fn published_keys(settings: &Settings, outbound: &Outbound, tasks: &Tasks) -> anyhow::Result<Arc<PublishedKeys>> {
    let url = settings.auth.jwks_url.parse().context("auth.jwks_url is no address")?;
    let client = outbound.client(&published_keys::destination())?;
    Ok(PublishedKeys::spawn(client, url, tasks))
}

fn sms_client(settings: &Settings, outbound: &Outbound) -> anyhow::Result<OutboundClient> {
    let sms = &settings.providers.sms;
    let destination = Destination {
        places: SMS_PLACES,
        // It may be about one number: the channel reads it and says so.
        pauses_by_itself: false,
        ..Destination::new(Sms::NAME, sms.call_timeout, sms.try_timeout)
    };
    Ok(outbound.client(&destination)?)
}

/// The description of the API (`OpenAPI` 3.1), as JSON.
pub fn openapi() -> String {
    routes().document()
}

/// Only the database is needed for the main job; a provider is judged by its breaker and by what it asked for, never probed.
fn health(
    (database, tables): (Database, Arc<[String]>),
    (broker, store): (Broker, Store),
    keys: &Arc<PublishedKeys>,
    (sms, waker): (OutboundClient, Waker),
) -> Health {
    let health = Health::default();
    health.register("database", Need::Required, move || {
        let (database, tables) = (database.clone(), Arc::clone(&tables));
        async move { database.readiness(&tables).await }
    });
    let keys = Arc::clone(keys);
    health.register("store", Need::Optional, move || std::future::ready(store.finding()));
    health.register("broker", Need::Optional, move || std::future::ready(broker.finding()));
    health.register("jwks", Need::Optional, move || std::future::ready(keys.state()));
    health.register(Sms::NAME, Need::Optional, move || {
        let asked = if waker.is_asked_to_wait(Sms::NAME) {
            Readiness::Degraded
        } else {
            Readiness::Up
        };
        std::future::ready(sms.state().max(asked))
    });
    health
}
