//! The client of one destination: the layers in their order, and the deadline around a call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Extensions;
use reqwest::{Method, RequestBuilder};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use url::Url;

use super::attempt::{AttemptLayer, Tries};
use super::guards::{BreakerLayer, BulkheadLayer, RateLayer};
use super::retry::RetryLayer;
use super::{Destination, OutboundError, OutboundResponse, Repeat};
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
