//! How the gateway comes up: shared by the process, by `waypost run` and by the tests.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::anyhow;
use common::config::{HttpUrl, Profile};
use common::dispatch::DispatchOptions;
use common::http::{Doors, Surface, Verifier, serve};
use common::limits::Limiter;
use common::messaging::Broker;
use common::operations::Tables;
use common::outbound::Outbound;
use common::process::{Need, Tasks};
use common::service::{Kit, Parts};
use contracts::topology::GATEWAY_EVENTS;
use migrations::Owner;

use crate::channels::Channels;
use crate::consumers::GatewayEvents;
use crate::journey;
use crate::live::Live;
use crate::published_keys::{self, PublishedKeys};
use crate::retention::TABLES;
use crate::routes::routes;
use crate::settings::Settings;
use crate::state::State;

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
/// When a setting can't be used, a port is taken, or tables are missing. Servers that are away are no error: the gateway
/// waits for them.
pub async fn start(settings: Settings, backends: Backends, tasks: Tasks) -> anyhow::Result<Running> {
    let parts = Parts {
        tables: migrations::of(Owner::NotificationGateway).names(),
        broker: backends.broker,
        broker_is: Need::Optional,
        tells_events: false,
    };
    let mut kit = Kit::open(&settings, &tasks, parts).await?;
    // The store holds the rate limits. While it is away, they hold for each replica by itself.
    let store = kit.store()?;
    let outbound = kit.outbound(&store);
    let keys = published_keys(&settings, &outbound, &tasks)?;
    let channels = Channels::open(&settings.own.providers, &outbound, &mut kit)?;
    let sms = Arc::clone(&channels.sms);

    // No relay: the gateway tells no events yet. The first `tell` needs `kit.relay()` here and `tells_events` above.
    let live = Live::spawn(kit.database.clone(), &tasks);
    let dispatcher = kit.dispatch(channels.clone(), DispatchOptions::new(&settings, &Channels::NAMES));
    channels.show_in(&kit.health, &dispatcher);
    let shown = Arc::clone(&keys);
    kit.health
        .register("jwks", Need::Optional, move || ready(shown.state()));
    let intake = GatewayEvents {
        live: live.clone(),
        dispatcher,
    };
    kit.consume(GATEWAY_EVENTS, intake);
    kit.prune(TABLES);

    let database = kit.database.clone();
    kit.journeys(Tables::InboxAndDeliveries, move |key| {
        journey::known(database.clone(), key)
    });
    let operations_address = kit.serve_operations()?;
    let state = State {
        database: kit.database,
        changes: kit.changes,
        live,
        sms: Arc::clone(&sms),
        metrics: kit.metrics.clone(),
        stopping: tasks.stopping().clone(),
    };
    let surface = Surface {
        routes,
        state: Arc::new(state),
        verifier: Verifier::new(keys),
        limiter: Limiter::new(&settings, tasks.service(), store.clone(), &kit.metrics),
        store,
        doors: Doors::default(),
        metrics: kit.metrics,
    };
    let http_address = serve(&settings, surface, &tasks)?;
    if let Some(address) = callback_address(&settings, http_address) {
        sms.tell_at(address);
    }
    Ok(Running {
        http_address,
        operations_address,
    })
}

/// Where providers reach us: by the public URL, or, on a machine where the sandbox stands in for them, by our own address.
fn callback_address(settings: &Settings, own: SocketAddr) -> Option<String> {
    let base = match settings.http.public_url.trim_end_matches('/') {
        "" if settings.profile == Profile::Production => return None,
        "" => format!("http://{own}"),
        public => public.to_owned(),
    };
    Some(format!("{base}/v1/callbacks/sms"))
}

fn published_keys(settings: &Settings, outbound: &Outbound, tasks: &Tasks) -> anyhow::Result<Arc<PublishedKeys>> {
    let url = HttpUrl::Whole
        .parse(&settings.own.auth.jwks_url)
        .map_err(|problem| anyhow!("auth.jwks_url {problem}"))?;
    let client = outbound.client(&published_keys::destination())?;
    Ok(PublishedKeys::spawn(client, url, tasks))
}

/// The description of the API (`OpenAPI` 3.1), as JSON.
pub fn openapi() -> String {
    routes().document()
}
