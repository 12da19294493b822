//! Puts the service together: the same way in production, in one process with others, and in tests.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, middleware::from_fn, web::Data};
use common::{
    config::{Service, Settings},
    database::Database,
    http::{Edge, KEEP_ALIVE, edge, own_server},
    messaging::{Broker, Outbox, spawn_relay},
    process::{Health, Need, State, Tasks, listen, operations},
    store::{Cache, CacheOptions, Store},
    telemetry::Metrics,
};

use crate::{accounts::UserKey, http::configure, passwords::Passwords, sessions::SigningKeys};

/// How long the start waits for the store, so that it does not begin with misses.
const STORE_PATIENCE: Duration = Duration::from_millis(300);
/// A client must have sent its headers by then.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// What requests in hand get at shutdown, in seconds; below the drain time.
const SHUTDOWN_S: u64 = 5;

/// What the process that runs this service brings along.
#[derive(Clone, Default)]
pub struct Backends {
    /// The broker that several services of one process share; none: by the settings.
    pub broker: Option<Broker>,
    /// Lives and bounds of the cache of accounts.
    pub cache: CacheOptions,
}

/// The service, once it is up.
pub struct Running {
    /// Where the API listens.
    pub http_address: SocketAddr,
    /// Where the operations port listens.
    pub operations_address: SocketAddr,
}

/// What the operations work with.
pub(crate) struct Api {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) users: Cache<UserKey>,
    pub(crate) passwords: Passwords,
    pub(crate) keys: SigningKeys,
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
    let database = Database::connect(&settings, Service::UserApi).await?;
    database.show_in(&metrics);
    database.check_migrated(&migrations::user_api::names()).await?;
    let store = Store::connect(&settings, &tasks, &metrics)?;
    store.connected(STORE_PATIENCE).await;
    let outbox = Outbox::new(Service::UserApi);
    spawn_relay(database.clone(), broker.clone(), &outbox, metrics.clone(), &tasks);
    let users = Cache::new(store.clone(), backends.cache, metrics.clone(), tasks.clone());
    let api = Api {
        keys: SigningKeys::open(database.clone(), &tasks),
        passwords: Passwords::new(&settings.accounts.argon2)?,
        database,
        outbox,
        users,
    };
    let health = health(&api, &broker, &store);
    let operations_address = operations::serve(&settings.operations.address, health, metrics.clone(), &tasks)?;
    let edge = Edge {
        service: Service::UserApi,
        metrics,
        sample_ratio: settings.telemetry.sample_ratio,
    };
    let http_address = serve(&settings, Arc::new(api), edge, &tasks)?;
    Ok(Running {
        http_address,
        operations_address,
    })
}

fn health(api: &Api, broker: &Broker, store: &Store) -> Health {
    let health = Health::default();
    let (database, keys) = (api.database.clone(), api.keys.clone());
    health.register("database", Need::Required, move || {
        let (database, keys) = (database.clone(), keys.clone());
        async move {
            // Without the keys nobody gets in: the service is not up before they are read.
            let up = database.ping().await.is_ok() && keys.ring().is_some();
            if up { State::Up } else { State::Down }
        }
    });
    let broker = broker.clone();
    health.register("broker", Need::Optional, move || std::future::ready(broker.state()));
    let store = store.clone();
    health.register("store", Need::Optional, move || std::future::ready(store.state()));
    health
}

fn serve(settings: &Settings, api: Arc<Api>, edge_data: Edge, tasks: &Tasks) -> anyhow::Result<SocketAddr> {
    let listener = listen(Service::UserApi, "http", &settings.http.address)?;
    let address = listener.local_addr()?;
    let (api, edge_data) = (Data::from(api), Data::new(edge_data));
    let public_url = settings.http.public_url.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(api.clone())
            .app_data(edge_data.clone())
            .wrap(from_fn(edge))
            .configure(|app| configure(app, &public_url))
    })
    .client_request_timeout(HEADERS_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .disable_signals()
    .shutdown_timeout(SHUTDOWN_S)
    .listen(listener)?
    .run();
    own_server("http", server, tasks);
    Ok(address)
}
