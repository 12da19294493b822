//! The three services and the sandbox provider in one process.
//!
//! They are the same services as in three processes: each has its own settings, tasks, database and
//! metrics. Only the memory broker is shared, when the settings ask for one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use common::config::{BrokerUrl, ConfigError, Profile, Service};
use common::messaging::Broker;
use common::process::{TaskFailed, Tasks, tell_of_weak_parts};
use common::telemetry::{Telemetry, scope};
use futures_util::future::{join_all, select_all};

use crate::migrate::migrate;
use crate::page;
use crate::settings::{Programs, Settings};

/// Where everything listens.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Addresses {
    pub user_api: SocketAddr,
    pub user_api_operations: SocketAddr,
    pub notification_gateway: SocketAddr,
    pub notification_gateway_operations: SocketAddr,
    pub email_worker_operations: SocketAddr,
    pub provider_sandbox: Option<SocketAddr>,
    pub page: Option<SocketAddr>,
}

/// All services of this process, until [`Embedded::stop`].
#[derive(Debug)]
pub struct Embedded {
    tasks: Vec<Tasks>,
    addresses: Addresses,
    broker: Option<Broker>,
}

impl Embedded {
    /// Migrates the three databases, then starts everything. After an error, what had started is stopped again.
    ///
    /// # Errors
    /// What kept one of them from starting: a setting, a port that is taken, a database.
    pub async fn start(telemetry: &Telemetry, settings: &Programs) -> anyhow::Result<Self> {
        let broker = matches!(settings.waypost.broker.url, BrokerUrl::Memory).then(Broker::memory);
        let mut tasks = Vec::new();
        let started = start_all(telemetry, settings, broker.clone(), &mut tasks).await;
        match started {
            Ok(addresses) => Ok(Self {
                tasks,
                addresses,
                broker,
            }),
            Err(error) => {
                // What has started must not run on behind an error.
                stop_all(&tasks, Duration::from_secs(2)).await;
                Err(error)
            }
        }
    }

    /// Where everything listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The broker in this process's memory, where that is the one in use.
    pub fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// Resolves when a task of any service has panicked; never otherwise.
    pub async fn failed(&self) -> TaskFailed {
        select_all(self.tasks.iter().map(|tasks| Box::pin(tasks.failed())))
            .await
            .0
    }

    /// Stops all services side by side. Tasks that still run after `within` are cut off, and the log says how many.
    pub async fn stop(self, within: Duration) {
        stop_all(&self.tasks, within).await;
    }
}

/// Starts one program after the other, so that each knows the addresses of those before it.
async fn start_all(
    telemetry: &Telemetry,
    settings: &Programs,
    broker: Option<Broker>,
    all: &mut Vec<Tasks>,
) -> anyhow::Result<Addresses> {
    let mut tasks_of = |service| {
        let tasks = Tasks::new(service);
        all.push(tasks.clone());
        tasks
    };
    for (service, settings) in settings.with_database() {
        migrate(settings, service).await?;
    }
    let provider_sandbox = match address_of_sandbox(settings) {
        Some(address) => Some(start_sandbox(address, &tasks_of(Service::ProviderSandbox))?),
        None => None,
    };

    let tasks = tasks_of(Service::UserApi);
    let backends = user_api::Backends {
        broker: broker.clone(),
        ..Default::default()
    };
    let with_sandbox = with_own_sandbox(settings.user_api.clone(), provider_sandbox)?;
    let users = scope(Service::UserApi, user_api::start(with_sandbox, backends, tasks)).await?;

    let tasks = tasks_of(Service::NotificationGateway);
    let pointed = pointed_at(
        settings.notification_gateway.clone(),
        users.http_address,
        provider_sandbox,
    )?;
    let backends = notification_gateway::Backends { broker: broker.clone() };
    let gateway = notification_gateway::start(pointed, backends, tasks);
    let gateway = scope(Service::NotificationGateway, gateway).await?;

    let tasks = tasks_of(Service::EmailWorker);
    let backends = email_worker::Backends { broker };
    let worker = email_worker::start(settings.email_worker.clone(), backends, tasks);
    let worker = scope(Service::EmailWorker, worker).await?;

    let page = start_page(&settings.waypost, telemetry, &tasks_of(Service::Waypost))?;
    Ok(Addresses {
        user_api: users.http_address,
        user_api_operations: users.operations_address,
        notification_gateway: gateway.http_address,
        notification_gateway_operations: gateway.operations_address,
        email_worker_operations: worker.operations_address,
        provider_sandbox,
        page,
    })
}

/// Where the sandbox is to listen; `None` in production, unless `process.allow_development_parts` is set.
///
/// Also says in the log what is weak in the settings of each service in production ([`tell_of_weak_parts`]).
fn address_of_sandbox(settings: &Programs) -> Option<String> {
    for (service, settings) in settings.with_database() {
        tell_of_weak_parts(service, settings);
    }
    let own = &settings.waypost;
    if own.profile == Profile::Production && !own.process.allow_development_parts {
        return None;
    }
    Some(settings.provider_sandbox.http.address.clone())
}

fn start_sandbox(address: String, tasks: &Tasks) -> io::Result<SocketAddr> {
    let sandbox = provider_sandbox::start(provider_sandbox::Config { address }, tasks.stopping().clone())?;
    let address = sandbox.address;
    tasks.spawn("sandbox provider", async move {
        if let Err(error) = sandbox.finished().await {
            tracing::error!(%error, "the sandbox provider broke off");
        }
    });
    Ok(address)
}

/// user-api's settings. Breached passwords are asked of this process's sandbox, unless the settings name another service or
/// none.
fn with_own_sandbox(
    mut settings: user_api::Settings,
    sandbox: Option<SocketAddr>,
) -> Result<user_api::Settings, ConfigError> {
    let built_in = user_api::Settings::load_from(None, Vec::new())?.own;
    let url = &mut settings.own.providers.breached_passwords.url;
    if let Some(sandbox) = sandbox
        && *url == built_in.providers.breached_passwords.url
    {
        *url = format!("http://{sandbox}");
    }
    Ok(settings)
}

/// The gateway's settings. The addresses of user-api and of the sandbox are those that this process bound, unless the
/// settings name others.
fn pointed_at(
    mut settings: notification_gateway::Settings,
    users: SocketAddr,
    sandbox: Option<SocketAddr>,
) -> Result<notification_gateway::Settings, ConfigError> {
    let built_in = notification_gateway::Settings::load_from(None, Vec::new())?.own;
    let own = &mut settings.own;
    if own.auth.jwks_url == built_in.auth.jwks_url {
        own.auth.jwks_url = format!("http://{users}/.well-known/jwks.json");
    }
    if let Some(sandbox) = sandbox
        && own.providers.sms.url == built_in.providers.sms.url
    {
        own.providers.sms.url = format!("http://{sandbox}");
    }
    Ok(settings)
}

/// The development page, where the profile and the settings want one.
fn start_page(own: &Settings, telemetry: &Telemetry, tasks: &Tasks) -> io::Result<Option<SocketAddr>> {
    if own.profile != Profile::Development || own.own.mail.page_address.is_empty() {
        return Ok(None);
    }
    page::serve(own, telemetry.buffer(), tasks).map(Some)
}

async fn stop_all(tasks: &[Tasks], within: Duration) {
    for ended in join_all(tasks.iter().map(|tasks| tasks.shut_down(within))).await {
        if let Err(unfinished) = ended {
            tracing::warn!(%unfinished, "stopped before all was finished; what was in hand is taken up at the next start");
        }
    }
}
