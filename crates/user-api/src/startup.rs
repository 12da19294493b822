//! Puts the service together: the same way in production, in one process with others, and in tests.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use common::{
    config::{Service, Settings},
    database::Database,
    http::{Doors, Surface, Verifier, serve},
    limits::Limiter,
    messaging::{Broker, Changes, spawn_relay},
    process::{self, Health, Need, Tasks, operations},
    store::{Cache, CacheOptions, Locks, Store},
    telemetry::Metrics,
};

use crate::{
    known_costs, passwords::Passwords, routes::routes, sessions::Sweep, signing_keys::SigningKeys, state::State,
};

/// How long the start waits for the store, so that it does not begin with misses.
const STORE_PATIENCE: Duration = Duration::from_millis(300);

/// What the process that runs this service brings along.
#[derive(Clone, Default)]
pub struct Backends {
    /// The broker that several services of one process share; none: by the settings.
    pub broker: Option<Broker>,
    /// Lives and bounds of the cache of accounts.
    pub cache: CacheOptions,
    /// The protections that stand; all, but where their cost is measured.
    pub doors: Doors,
}

/// The service, once it is up.
pub struct Running {
    /// Where the API listens.
    pub http_address: SocketAddr,
    /// Where the operations port listens.
    pub operations_address: SocketAddr,
}

/// Starts the service. It is up when this returns, with or without its database, store and broker;
/// `tasks` own it from then on.
///
/// # Errors
/// When the settings can't be right, a port is taken, or the database has no tables yet.
pub async fn start(settings: Settings, backends: Backends, tasks: Tasks) -> anyhow::Result<Running> {
    let metrics = Metrics::new(Service::UserApi);
    let broker = match backends.broker {
        Some(broker) => broker,
        None => Broker::connect(&settings, &tasks, &metrics)?,
    };
    let tables: Arc<[String]> = migrations::user_api::names().into();
    let database = Database::open(&settings, Service::UserApi, &tables, &metrics).await?;
    let store = Store::connect(&settings, &tasks, &metrics)?;
    store.connected(STORE_PATIENCE).await;
    let changes = Changes::new(Service::UserApi, database.clone());
    spawn_relay(&changes, broker.clone(), metrics.clone(), &tasks);
    let users = Cache::new(store.clone(), backends.cache, metrics.clone(), tasks.clone());
    users.hears_others(STORE_PATIENCE).await;
    let sweep = Sweep {
        changes: changes.clone(),
        locks: Locks::new(store.clone(), tasks.clone(), metrics.clone()),
        metrics: metrics.clone(),
        settings: settings.accounts.sessions,
    };
    sweep.spawn(&tasks);
    let passwords = Passwords::new(&settings.accounts.argon2)?;
    passwords.show_in(&metrics);
    known_costs::learn(passwords.clone(), database.clone(), &tasks);
    let state = State {
        keys: SigningKeys::open(database.clone(), changes.clone(), &tasks),
        passwords,
        database,
        changes,
        users,
    };
    let health = health(&state, tables, &broker, &store);
    let operations_address = operations::serve(&settings, health, metrics.clone(), &tasks)?;
    let surface = Surface {
        routes,
        verifier: Verifier::new(Arc::new(state.keys.clone())),
        limiter: Limiter::new(&settings, Service::UserApi, store.clone(), &metrics),
        store,
        doors: backends.doors,
        state: Arc::new(state),
        metrics,
    };
    let http_address = serve(&settings, surface, &tasks)?;
    Ok(Running {
        http_address,
        operations_address,
    })
}

/// The description of the API (`OpenAPI` 3.1), as JSON.
pub fn openapi() -> String {
    routes().document()
}

fn health(state: &State, tables: Arc<[String]>, broker: &Broker, store: &Store) -> Health {
    let health = Health::default();
    let (database, keys) = (state.database.clone(), state.keys.clone());
    health.register("database", Need::Required, move || {
        let (database, tables, keys) = (database.clone(), Arc::clone(&tables), keys.clone());
        async move {
            let found = database.readiness(&tables).await;
            // Without the keys nobody gets in: the service is not up before they are read.
            match keys.ring() {
                Err(_) if found.state == process::State::Up => process::State::Down.into(),
                _ => found,
            }
        }
    });
    let broker = broker.clone();
    health.register("broker", Need::Optional, move || std::future::ready(broker.finding()));
    let store = store.clone();
    health.register("store", Need::Optional, move || std::future::ready(store.finding()));
    health
}
