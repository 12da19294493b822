//! What a row of the table says of a metric.

use prometheus_client::metrics::MetricType;

/// What a metric is, as it shows at `/metrics`.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Name of its series; a histogram's get `_bucket`, `_count` and `_sum`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its own labels; `service` comes on top.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Prometheus's own words")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// The kind of a metric of the library. It is called for constants alone, so a row of another type does not compile.
    pub(super) const fn of(metric: MetricType) -> Self {
        match metric {
            MetricType::Counter => Self::Counter,
            MetricType::Gauge => Self::Gauge,
            MetricType::Histogram => Self::Histogram,
            MetricType::Info | MetricType::Unknown => panic!("a metric is a counter, a gauge or a histogram"),
        }
    }
}
