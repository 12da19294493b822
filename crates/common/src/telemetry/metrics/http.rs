//! What a service answers over HTTP and calls over HTTP, and the connections it takes.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::Metrics;
use super::labels::{HttpLabels, PortLabels, ReasonLabels};

impl Metrics {
    /// Records one request that this service answered, by how long it took (`http_server_request_duration_seconds`).
    pub fn http_server(&self, labels: &HttpLabels, took: Duration) {
        self.0
            .series
            .http_server
            .get_or_create(labels)
            .observe(took.as_secs_f64());
    }

    /// Records one try of a call that this service made, by how long it took (`http_client_request_duration_seconds`).
    pub fn http_client(&self, labels: &HttpLabels, took: Duration) {
        self.0
            .series
            .http_client
            .get_or_create(labels)
            .observe(took.as_secs_f64());
    }

    /// Has the counter of connections that this port refuses stand at 0 (`waypost_http_connections_refused_total`).
    pub fn listens(&self, port: &'static str) {
        let _ = self.0.series.connections_refused.get_or_create(&PortLabels { port });
    }

    /// Counts a connection that was closed at once because its address had as many as it may
    /// (`waypost_http_connections_refused_total`).
    pub fn connection_refused(&self, port: &'static str) {
        self.0
            .series
            .connections_refused
            .get_or_create(&PortLabels { port })
            .inc();
    }

    /// The counter of requests that the operations API refused for one reason (`waypost_operations_refused_total`). It
    /// stands at 0 from this call on.
    pub fn operations_refused(&self, reason: &'static str) -> Counter {
        let labels = ReasonLabels { reason };
        self.0.series.operations_refused.get_or_create_owned(&labels)
    }
}
