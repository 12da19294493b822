//! The one call that an operation makes for a new password.

use std::time::Duration;

use anyhow::anyhow;
use common::{
    Timestamp,
    config::{HttpUrl, Profile},
    http::{Place, Violation},
    outbound::{Destination, Outbound, OutboundClient, OutboundError, Repeat},
    process::{Tasks, chain},
    resilience::Backoff,
    telemetry::Metrics,
};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use strum::IntoEnumIterator;
use tokio::time::{Instant, timeout_at};

use super::{
    kept::KeptRanges,
    outcome::Outcome,
    range::{Garbled, Hash, MOST_BYTES, Range},
};
use crate::profile::Password;
use crate::settings::{BreachedPolicy, Settings};

/// The service's name in metrics, spans and readiness.
pub(crate) const DESTINATION: &str = "breached_passwords";

/// The part of the time that one try may take. The rest is for the store, which may hang: so a try against a service that
/// hangs ends by its own deadline, and the breaker counts it.
const OF_ONE_TRY: f64 = 0.6;

/// Says of a new password whether it is known from a breach, if somebody is to look.
pub(crate) struct BreachedPasswords {
    service: Option<Service>,
    metrics: Metrics,
}

/// Who is asked, and what follows.
struct Service {
    url: String,
    client: OutboundClient,
    kept: KeptRanges,
    tasks: Tasks,
    policy: BreachedPolicy,
    /// What looking up costs a sign-up at most, the store included.
    budget: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the service could not be asked")]
    Call(#[from] OutboundError),
    #[error("the service answered something else")]
    Garbled(#[from] Garbled),
    #[error("the time for it was over")]
    TooLate,
}

impl BreachedPasswords {
    /// By the settings; says in the log when nobody is to look.
    pub(crate) fn new(settings: &Settings, outbound: &Outbound, tasks: &Tasks) -> anyhow::Result<Self> {
        let (service, metrics) = (Service::new(settings, outbound, tasks)?, &outbound.metrics);
        for outcome in Outcome::iter() {
            metrics.password_checks(outcome.label());
        }
        Ok(Self {
            service,
            metrics: metrics.clone(),
        })
    }

    /// Refuses a password that is known from a breach, where the settings say so.
    ///
    /// Takes the time of the settings at most. When the service does not answer in that time, its last answer counts; when
    /// there is none, the password is taken. While the service is waited for, the request leaves its place to others.
    pub(crate) async fn check(&self, password: &Password, place: &Place) -> Result<(), Violation> {
        let Some(service) = &self.service else {
            self.metrics.password_check(Outcome::Off.label());
            return Ok(());
        };
        let outcome = service.look_up(password, place).await;
        self.metrics.password_check(outcome.label());
        if !outcome.is_breached() {
            return Ok(());
        }
        if service.policy == BreachedPolicy::Refuse {
            return Err(Violation {
                code: "breached",
                detail: "must not be one that is known from a breach, or that many people choose",
            });
        }
        let outcome = outcome.label();
        tracing::warn!(
            outcome,
            "a breached or common password was accepted: accounts.breached_passwords does not refuse it"
        );
        Ok(())
    }

    /// The client of the service, where one is asked.
    pub(crate) fn client(&self) -> Option<OutboundClient> {
        self.service.as_ref().map(|service| service.client.clone())
    }
}

impl Service {
    fn new(settings: &Settings, outbound: &Outbound, tasks: &Tasks) -> anyhow::Result<Option<Self>> {
        let policy = settings.own.accounts.breached_passwords;
        let url = settings.own.providers.breached_passwords.url.trim_end_matches('/');
        if policy == BreachedPolicy::Off {
            tracing::info!("new passwords are not looked up: accounts.breached_passwords is off");
            return Ok(None);
        }
        if url.is_empty() {
            if settings.profile == Profile::Production {
                tracing::warn!("new passwords are not looked up: providers.breached_passwords.url names no service");
            } else {
                tracing::info!("new passwords are not looked up: providers.breached_passwords.url names no service");
            }
            return Ok(None);
        }
        HttpUrl::WithUser
            .parse(url)
            .map_err(|problem| anyhow!("providers.breached_passwords.url {problem}"))?;
        let budget = settings.own.providers.breached_passwords.timeout;
        let destination = Destination {
            // Used after a failure that came fast: after a try of full length too little time is left.
            retries: 1,
            backoff: Backoff {
                first: Duration::from_millis(100),
                limit: Duration::from_millis(100),
            },
            answer_limit: MOST_BYTES,
            ..Destination::new(DESTINATION, budget, budget.mul_f64(OF_ONE_TRY))
        };
        Ok(Some(Self {
            url: url.to_owned(),
            client: outbound.client(&destination)?,
            kept: KeptRanges::new(outbound.store.clone()),
            tasks: tasks.clone(),
            policy,
            budget,
        }))
    }

    async fn look_up(&self, password: &Password, place: &Place) -> Outcome {
        let (password, deadline) = (password.as_secret().expose_secret(), Instant::now() + self.budget);
        if common_passwords::is_common(password) {
            return Outcome::Common;
        }
        let (hash, now) = (Hash::of(password), Timestamp::now());
        // The store has a deadline of its own, so this needs none.
        let kept = self.kept.get(&hash.prefix, now).await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh) {
            return Outcome::fresh(kept.range.contains(&hash));
        }
        let asking = place.leave_while(timeout_at(deadline, self.ask(&hash.prefix)));
        match asking.await.unwrap_or(Err(AskError::TooLate)) {
            Ok(range) => {
                let is_breached = range.contains(&hash);
                self.keep(hash.prefix, range, now);
                Outcome::fresh(is_breached)
            }
            Err(error) => {
                let outcome = kept.map_or(Outcome::Unknown, |kept| Outcome::stale(kept.range.contains(&hash)));
                let error = chain(&error);
                tracing::warn!(
                    error,
                    outcome = outcome.label(),
                    "breached passwords could not be asked for"
                );
                outcome
            }
        }
    }

    async fn ask(&self, prefix: &str) -> Result<Range, AskError> {
        let url = format!("{}/range/{prefix}", self.url);
        // The address was parsed at the start; with a path of plain characters behind it, it still parses.
        let url = Url::parse(&url).map_err(|_| Garbled)?;
        let request = self.client.request(Method::GET, url).header("Add-Padding", "true");
        let answer = self
            .client
            .execute(request, Repeat::ByMethod)
            .await?
            .error_for_status()?;
        Ok(Range::parse(&answer.body)?)
    }

    /// Keeps an answer, in the background.
    fn keep(&self, prefix: String, range: Range, now: Timestamp) {
        let kept = self.kept.clone();
        self.tasks.spawn("keep breached passwords", async move {
            if let Err(error) = kept.put(&prefix, &range, now).await {
                tracing::debug!(%error, "an answer about breached passwords is not kept");
            }
        });
    }
}
