//! The client of one destination: the layers in their order, and the deadline around a call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Extensions;
use reqwest::{Method, RequestBuilder};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use url::Url;

use super::attempt::{AttemptLayer, Tries};
use super::breaking::BreakerLayer;
use super::call::CallOptions;
use super::deadline::Deadline;
use super::decisions::{Decision, Decisions};
use super::hints::Hints;
use super::retry::RetryLayer;
use super::turns::{BulkheadLayer, RateLayer};
use super::{Destination, OutboundError, OutboundResponse, Repeat};
use crate::limits::SharedRate;
use crate::process::State;
use crate::resilience::{BreakerState, Breakers, Bulkhead};
use crate::store::Store;
use crate::telemetry::Metrics;

/// Shorter than the 60 s after which common servers close an idle connection under our feet.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The layers keep the deadline themselves; what does not is cut this much later.
const GRACE: Duration = Duration::from_millis(20);

/// What the clients of one service share.
#[derive(Clone)]
pub struct Outbound {
    /// Where decisions and tries are counted.
    pub metrics: Metrics,
    /// Where replicas keep rates together and leave hints.
    pub store: Store,
    /// The breakers that an operator sees.
    pub breakers: Breakers,
}

impl Outbound {
    /// Makes the client of one destination.
    ///
    /// # Errors
    /// [`OutboundError::Request`] when the TLS configuration of this machine can't be used.
    pub fn client(&self, destination: &Destination) -> Result<OutboundClient, OutboundError> {
        let plain = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Settings alone say where calls go, not the environment.
            .no_proxy()
            .connect_timeout(destination.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("waypost/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OutboundError::Request)?;
        let (name, metrics) = (&destination.name, &self.metrics);
        let decisions = Decisions::of(name, metrics);
        let hints = self.store.is_shared().then(|| Hints::new(name, self.store.clone()));
        let breaking = BreakerLayer::new(destination, hints, metrics, decisions.clone());
        self.breakers.add(name, breaking.breaker());
        let (shown, of) = (Arc::clone(breaking.breaker()), Arc::clone(name));
        metrics.at_each_reading(move |metrics| metrics.breaker_state(&of, shown.state(Instant::now()).level()));
        let places = Bulkhead::new(destination.places);
        places.show_in(metrics, Arc::clone(name));
        let (try_timeout, patience) = (
            destination.try_timeout,
            // Half of what a call may wait: the way to the store and a retry take of the rest, and no turn is thrown away.
            destination.call_timeout.saturating_sub(destination.try_timeout) / 2,
        );
        let rate = destination
            .rate
            .map(|rate| SharedRate::new(name, rate.quota(patience), self.store.clone()));
        let client = ClientBuilder::new(plain.clone())
            .with(RetryLayer::new(destination, breaking.breaker(), decisions.clone()))
            .with(breaking.clone())
            .with(RateLayer {
                rate,
                try_timeout,
                decisions: decisions.clone(),
            })
            .with(BulkheadLayer {
                places,
                try_timeout,
                decisions: decisions.clone(),
            })
            .with(AttemptLayer::new(destination, metrics.clone(), decisions.clone()))
            .build();
        Ok(OutboundClient {
            name: Arc::clone(name),
            call_timeout: destination.call_timeout,
            plain,
            client,
            breaking,
            decisions,
        })
    }
}

/// Calls one destination. Cheap to clone; all clones share breaker, limits and connections.
#[derive(Clone)]
pub struct OutboundClient {
    name: Arc<str>,
    call_timeout: Duration,
    plain: reqwest::Client,
    client: ClientWithMiddleware,
    breaking: BreakerLayer,
    decisions: Decisions,
}

impl OutboundClient {
    /// Begins a request; [`Self::execute`] sends it.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.plain.request(method, url)
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// [`OutboundError`] when there is no whole answer within the destination's `call_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future breaks the call off; the destination may have received it.
    pub async fn execute(&self, request: RequestBuilder, repeat: Repeat) -> Result<OutboundResponse, OutboundError> {
        let options = CallOptions {
            repeat,
            ..CallOptions::default()
        };
        self.execute_as(request, options).await
    }

    /// As [`Self::execute`], in the way that the options say.
    ///
    /// # Errors
    /// As [`Self::execute`].
    ///
    /// # Cancel safety
    /// As [`Self::execute`].
    pub async fn execute_as(
        &self,
        request: RequestBuilder,
        options: CallOptions,
    ) -> Result<OutboundResponse, OutboundError> {
        let request = request
            .build()
            .map_err(|error| OutboundError::Request(error.without_url()))?;
        let mut extensions = Extensions::new();
        extensions.insert(options.repeat);
        if let Some(heard) = options.heard {
            extensions.insert(heard);
        }
        extensions.insert(options.entry);
        extensions.insert(Deadline(Instant::now() + self.call_timeout));
        let call = self.client.execute_with_extensions(request, &mut extensions);
        let Ok(outcome) = tokio::time::timeout(self.call_timeout + GRACE, call).await else {
            self.decisions.note(Decision::DeadlinePassed);
            return Err(OutboundError::Timeout {
                after: self.call_timeout,
            });
        };
        let mut answer = outcome.map_err(OutboundError::unwrap_from)?;
        let is_after_unknown = extensions.get::<Tries>().is_some_and(|tries| tries.is_after_unknown);
        Ok(OutboundResponse {
            status: answer.status(),
            headers: std::mem::take(answer.headers_mut()),
            // In memory already: the innermost layer read it.
            body: answer.bytes().await.map_err(OutboundError::of_reqwest)?,
            is_after_unknown,
        })
    }

    /// Gets a document.
    ///
    /// # Errors
    /// As [`Self::execute`], and [`OutboundError::Status`] for any status but 2xx.
    pub async fn get(&self, url: Url) -> Result<OutboundResponse, OutboundError> {
        self.execute(self.request(Method::GET, url), Repeat::ByMethod)
            .await?
            .error_for_status()
    }

    /// Makes no call for so long, a minute at most, because the destination asked for it in an answer that the caller read.
    /// A longer pause that is kept already stays.
    pub fn pause(&self, wait: Duration) {
        self.breaking.pause(wait);
    }

    /// The destination's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the destination is, judged by its breaker and by what it asked for.
    pub fn state(&self) -> State {
        let now = Instant::now();
        match self.breaking.breaker().state(now) {
            BreakerState::Open => State::Down,
            BreakerState::HalfOpen => State::Degraded,
            BreakerState::Closed if self.breaking.paused_for(now).is_some() => State::Degraded,
            BreakerState::Closed => State::Up,
        }
    }
}

impl std::fmt::Debug for OutboundClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundClient")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
