//! Which servers this program can be, and how it becomes one.

use std::{process::ExitCode, time::Duration};

use clap::ValueEnum;
use common::{http::Doors, process::run_service, store::CacheOptions};

use super::{bare, ceiling::ended, intake, redis_get, transaction};

/// How long the cache of `NineOfTen` keeps a person. Each of the 64 people is read every few milliseconds, so that some ten
/// reads come in this time.
const SHORT_LIFE: Duration = Duration::from_millis(25);

/// A server that this program can be.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// The API, as it is deployed.
    UserApi,
    /// The API without the in-process layer of its cache.
    RedisHit,
    /// The API with a cache that keeps nothing.
    Uncached,
    /// The API with a cache that forgets so soon that some nine reads of ten find what they look for.
    NineOfTen,
    /// The API without rate limits and concurrency limits.
    WithoutDoors,
    /// The API with its rate limits, and no concurrency limits.
    RateLimitsAlone,
    /// The API with its concurrency limits, and no rate limits.
    ConcurrencyLimitsAlone,
    /// The gateway, as it is deployed.
    NotificationGateway,
    /// The worker, as it is deployed.
    EmailWorker,
    /// A consumer that writes one row a message.
    Intake,
    /// An actix-web handler that answers fixed bytes.
    Bare,
    /// An actix-web handler that answers what one Redis GET gives.
    RedisGet,
    /// An actix-web handler that commits the rows of one sign-up.
    Transaction,
}

impl Role {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UserApi => "user-api",
            Self::RedisHit => "redis-hit",
            Self::Uncached => "uncached",
            Self::NineOfTen => "nine-of-ten",
            Self::WithoutDoors => "without-doors",
            Self::RateLimitsAlone => "rate-limits-alone",
            Self::ConcurrencyLimitsAlone => "concurrency-limits-alone",
            Self::NotificationGateway => "notification-gateway",
            Self::EmailWorker => "email-worker",
            Self::Intake => "intake",
            Self::Bare => "bare",
            Self::RedisGet => "redis-get",
            Self::Transaction => "transaction",
        }
    }
}

/// Plays one of them until it is stopped. The services run exactly as their own binaries do.
pub(crate) fn serve(role: Role) -> ExitCode {
    match role {
        Role::UserApi => run_service(|settings, tasks| user_api::start(settings, user_api::Backends::default(), tasks)),
        Role::RedisHit => user_api_with(CacheOptions {
            in_process: Duration::ZERO,
            ..CacheOptions::default()
        }),
        Role::Uncached => user_api_with(keeps_nothing()),
        Role::NineOfTen => user_api_with(CacheOptions {
            fresh: SHORT_LIFE,
            stale: Duration::ZERO,
            lease: Duration::ZERO,
            ..CacheOptions::default()
        }),
        Role::WithoutDoors => user_api_behind(false, false),
        Role::RateLimitsAlone => user_api_behind(true, false),
        Role::ConcurrencyLimitsAlone => user_api_behind(false, true),
        Role::NotificationGateway => run_service(|settings, tasks| {
            notification_gateway::start(settings, notification_gateway::Backends::default(), tasks)
        }),
        Role::EmailWorker => {
            run_service(|settings, tasks| email_worker::start(settings, email_worker::Backends::default(), tasks))
        }
        Role::Intake => intake::serve(),
        Role::Bare => ended(bare::serve()),
        Role::RedisGet => ended(redis_get::serve()),
        Role::Transaction => ended(transaction::serve()),
    }
}

fn user_api_with(cache: CacheOptions) -> ExitCode {
    user_api(user_api::Backends {
        cache,
        ..user_api::Backends::default()
    })
}

fn user_api_behind(rate_limits: bool, concurrency_limits: bool) -> ExitCode {
    user_api(user_api::Backends {
        doors: Doors {
            rate_limits,
            concurrency_limits,
        },
        ..user_api::Backends::default()
    })
}

fn user_api(backends: user_api::Backends) -> ExitCode {
    run_service(move |settings, tasks| user_api::start(settings, backends, tasks))
}

fn keeps_nothing() -> CacheOptions {
    CacheOptions {
        in_process: Duration::ZERO,
        fresh: Duration::ZERO,
        stale: Duration::ZERO,
        lease: Duration::ZERO,
        // The wait for a place to load is part of what is measured; on a busy machine it is long.
        deadline: Duration::from_secs(10),
        ..CacheOptions::default()
    }
}
