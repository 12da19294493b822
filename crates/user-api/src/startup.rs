//! Puts the service together: the same way in production, in one process with others, and in tests.

use std::{future::ready, net::SocketAddr, sync::Arc, time::Duration};

use common::{
    http::{Doors, Surface, Verifier, serve},
    limits::Limiter,
    messaging::Broker,
    operations::Tables,
    process::{Need, State as Readiness, Tasks},
    service::{Kit, Parts},
    store::{Cache, CacheOptions, Locks},
};
use migrations::Owner;

use crate::{
    breached::{self, BreachedPasswords},
    journey, known_costs,
    passwords::Passwords,
    retention::TABLES,
    routes::routes,
    sessions::Sweep,
    settings::Settings,
    signing_keys::SigningKeys,
    state::State,
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
    /// The protections that are switched on: all of them, except where a benchmark measures their cost.
    pub doors: Doors,
}

/// The service, once it is up.
pub struct Running {
    /// Where the API listens.
    pub http_address: SocketAddr,
    /// Where the operations port listens.
    pub operations_address: SocketAddr,
}

/// Starts the service. It listens when this returns, with or without PostgreSQL, store and broker, and is ready
/// once the database has given the signing keys. `tasks` own it from then on.
///
/// # Errors
/// When the settings can't be right, a port is taken, or the database has no tables yet.
pub async fn start(settings: Settings, backends: Backends, tasks: Tasks) -> anyhow::Result<Running> {
    let parts = Parts {
        tables: migrations::of(Owner::UserApi).names(),
        broker: backends.broker,
        broker_is: Need::Optional,
        tells_events: true,
    };
    let mut kit = Kit::open(&settings, &tasks, parts).await?;
    let store = kit.store()?;
    store.connected(STORE_PATIENCE).await;
    kit.relay();
    kit.prune(TABLES);
    let metrics = &kit.metrics;
    let users = Cache::new(store.clone(), backends.cache, metrics.clone(), tasks.clone());
    users.hears_others(STORE_PATIENCE).await;
    let locks = Locks::new(store.clone(), tasks.clone(), metrics.clone());
    let (changes, sessions) = (kit.changes.clone(), settings.own.accounts.sessions);
    Sweep::new(changes, locks, metrics.clone(), sessions).spawn(&tasks);
    let passwords = Passwords::new(&settings.own.accounts.argon2)?;
    passwords.show_in(metrics);
    known_costs::learn(passwords.clone(), kit.database.clone(), &tasks);
    let keys = SigningKeys::open(kit.database.clone(), kit.changes.clone(), &tasks);
    // Without the keys nobody gets in: the service is not ready before they are read.
    let read = keys.clone();
    kit.health.also("database", move || match read.ring() {
        Ok(_) => Readiness::Up,
        Err(_) => Readiness::Down,
    });
    let breached = BreachedPasswords::new(&settings, &kit.outbound(&store), &tasks)?;
    if let Some(client) = breached.client() {
        kit.health
            .register(breached::DESTINATION, Need::Optional, move || ready(client.state()));
    }
    let database = kit.database.clone();
    kit.journeys(Tables::Outbox, move |key| journey::known(database.clone(), key));
    let operations_address = kit.serve_operations()?;
    let state = State {
        keys: keys.clone(),
        passwords,
        breached,
        database: kit.database,
        changes: kit.changes,
        users,
    };
    let surface = Surface {
        routes,
        verifier: Verifier::new(Arc::new(keys)),
        limiter: Limiter::new(&settings, tasks.service(), store.clone(), &kit.metrics),
        store,
        doors: backends.doors,
        state: Arc::new(state),
        metrics: kit.metrics,
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
