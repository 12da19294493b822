use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Extensions, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde::de::DeserializeOwned;
use url::Url;

use super::attempt::{AttemptLayer, Tries};
use super::guards::{BreakerLayer, BulkheadLayer, RateLayer};
use super::retry::{RetryLayer, is_passing, retry_after};
use super::{Destination, OutboundError};
use crate::Timestamp;
use crate::process::State;
use crate::resilience::{Breaker, BreakerState, Bulkhead};
use crate::telemetry::Metrics;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than the 60 s after which common servers close an idle connection under our feet.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls one destination. Cheap to clone; all clones share breaker, limits and connections.
#[derive(Debug, Clone)]
pub struct OutboundClient {
    name: &'static str,
    call_timeout: Duration,
    plain: reqwest::Client,
    client: ClientWithMiddleware,
    breaker: Arc<Breaker>,
}

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeat {
    /// What its method says: GET, HEAD, OPTIONS, PUT and DELETE may.
    #[default]
    ByMethod,
    /// It may: the destination knows it by an idempotency key, or twice does no harm.
    Safe,
    /// It must not, whatever its method.
    Never,
}

impl Repeat {
    pub(super) fn resolve(self, method: &Method) -> bool {
        match self {
            Self::ByMethod => method.is_idempotent(),
            Self::Safe => true,
            Self::Never => false,
        }
    }
}

/// An answer, read whole.
#[derive(Clone)]
pub struct OutboundResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl OutboundClient {
    /// Makes the client of one destination.
    ///
    /// # Errors
    /// [`OutboundError::Request`] when the TLS configuration of this machine can't be used.
    pub fn new(destination: &Destination, metrics: &Metrics) -> Result<Self, OutboundError> {
        let plain = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Settings alone say where calls go, not the environment.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(destination.try_timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("waypost/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OutboundError::Request)?;
        let name = destination.name;
        let breaker = Breaker::new(destination.breaker, Instant::now());
        let shown = Arc::clone(&breaker);
        metrics.at_each_reading(move |metrics| metrics.breaker_state(name, shown.state(Instant::now()).level()));
        let client = ClientBuilder::new(plain.clone())
            .with(RetryLayer::new(destination))
            .with(BreakerLayer {
                breaker: Arc::clone(&breaker),
            })
            .with(RateLayer::new(destination.rate))
            .with(BulkheadLayer(Bulkhead::new(destination.places)))
            .with(AttemptLayer {
                name,
                try_timeout: destination.try_timeout,
                answer_limit: destination.answer_limit,
                metrics: metrics.clone(),
            })
            .build();
        Ok(Self {
            name,
            call_timeout: destination.call_timeout,
            plain,
            client,
            breaker,
        })
    }

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
        let request = request
            .build()
            .map_err(|error| OutboundError::Request(error.without_url()))?;
        let mut extensions = Extensions::new();
        extensions.insert(repeat);
        let call = self.client.execute_with_extensions(request, &mut extensions);
        let answer = match tokio::time::timeout(self.call_timeout, call).await {
            Ok(outcome) => outcome.map_err(|error| unless_called(OutboundError::unwrap_from(error), &extensions))?,
            Err(_) => {
                return Err(OutboundError::Timeout {
                    after: self.call_timeout,
                });
            }
        };
        Ok(OutboundResponse {
            status: answer.status(),
            headers: answer.headers().clone(),
            // In memory already: the innermost layer read it.
            body: answer.bytes().await.map_err(OutboundError::of_reqwest)?,
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

    /// The destination's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How the destination is, judged by its breaker alone.
    pub fn state(&self) -> State {
        match self.breaker.state(Instant::now()) {
            BreakerState::Closed => State::Up,
            BreakerState::HalfOpen => State::Degraded,
            BreakerState::Open => State::Down,
        }
    }
}

/// "Not called" is said of a call of which no try was made, and of no other.
fn unless_called(error: OutboundError, extensions: &Extensions) -> OutboundError {
    let was_called = extensions.get::<Tries>().is_some_and(|Tries(tries)| *tries > 0);
    match error {
        OutboundError::Unavailable { refusal, .. } if was_called => OutboundError::NotAgain { refusal },
        error => error,
    }
}

impl OutboundResponse {
    /// The body as JSON.
    ///
    /// # Errors
    /// What `serde_json` says when it is not.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// What `Retry-After` asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers, Timestamp::now())
    }

    /// Whether the status says "not now": 408, 429 or 5xx.
    pub fn is_passing_failure(&self) -> bool {
        is_passing(self.status)
    }

    /// Takes 2xx only.
    ///
    /// # Errors
    /// [`OutboundError::Status`] for any other status.
    pub fn error_for_status(self) -> Result<Self, OutboundError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(OutboundError::Status {
            status: self.status.as_u16(),
            retry_after: self.retry_after(),
        })
    }
}

impl std::fmt::Debug for OutboundResponse {
    /// Without headers and body: they may hold personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
