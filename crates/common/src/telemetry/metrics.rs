//! Every metric of the system, with its name and labels: the one place.
//!
//! - `table.rs` has a row for each metric: all of it but the recording. It makes [`ALL`], a list of [`Definition`]s.
//!   docs/observability.md has the same table for people, and a test compares both, the dashboards and the alert rules with
//!   each other;
//! - `labels.rs` has their labels. What goes into a label is bounded: a route's pattern, a queue, a channel; never an id or
//!   an address;
//! - `held.rs` has the values that are shown of a hold;
//! - the other files have the methods of [`Metrics`] that record them, a file a theme.

mod cache;
mod critical_time;
mod definition;
mod dispatch;
mod held;
mod http;
mod labels;
mod limits;
mod locks;
mod logs;
mod messaging;
mod outbound;
mod passwords;
mod stores;
mod table;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use self::definition::{Definition, Kind};
pub use self::held::Held;
pub use self::labels::HttpLabels;
pub use self::table::ALL;
use self::table::Series;
use crate::config::Service;

type Sampler = Box<dyn Fn(&Metrics) + Send + Sync>;

/// One service's metrics. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    samplers: Mutex<Vec<Sampler>>,
    series: Series,
}

impl Metrics {
    /// An empty set for `service`; every series carries its name.
    pub fn new(service: Service) -> Self {
        let mut registry = Registry::with_labels(std::iter::once(("service".into(), service.name().into())));
        let series = Series::register(&mut registry);
        Self(Arc::new(Inner {
            registry,
            samplers: Mutex::default(),
            series,
        }))
    }

    /// Has `sampler` set its gauges each time these metrics are read. It must be quick, and must call neither this function
    /// nor [`Self::render`]: both wait for a lock that is held meanwhile.
    pub fn at_each_reading(&self, sampler: impl Fn(&Self) + Send + Sync + 'static) {
        let mut samplers = self.0.samplers.lock();
        samplers.push(Box::new(sampler));
    }

    /// All of them in Prometheus's text form (OpenMetrics 1.0).
    pub fn render(&self) -> String {
        for sample in &*self.0.samplers.lock() {
            sample(self);
        }
        let mut text = String::new();
        if encode(&mut text, &self.0.registry).is_err() {
            let _ = writeln!(text, "# encoding failed");
        }
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_names_are_the_documented_ones() {
        let metrics = Metrics::new(Service::UserApi);
        metrics.message("q", "ack");
        metrics.cache_read("l1", "hit");
        metrics.outbox_pending(3);
        metrics.delivery("sms", "accepted");
        metrics.store_command("get", "ok", Duration::from_millis(1));
        metrics.at_each_reading(|metrics| metrics.database_connections(2, 1, 16));
        let text = metrics.render();
        for line in [
            "waypost_messages_total{service=\"user-api\",queue=\"q\",outcome=\"ack\"} 1",
            "waypost_cache_reads_total{service=\"user-api\",layer=\"l1\",outcome=\"hit\"} 1",
            "waypost_outbox_pending{service=\"user-api\"} 3",
            "waypost_store_command_duration_seconds_count{service=\"user-api\",command=\"get\",outcome=\"ok\"} 1",
            "waypost_database_connections{service=\"user-api\",state=\"used\"} 2",
            "waypost_database_connections_limit{service=\"user-api\"} 16",
            "waypost_deliveries_total{service=\"user-api\",channel=\"sms\",status=\"accepted\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
