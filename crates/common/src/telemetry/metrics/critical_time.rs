//! The time from a cause to its effect.

use std::time::Duration;

use super::Metrics;
use super::labels::TypeLabels;

impl Metrics {
    /// Has the histograms of these effects stand from the start: an effect that never came about is then 0, and no gap.
    pub fn critical_times(&self, types: &[&'static str]) {
        for &r#type in types {
            drop(self.0.series.critical_time.get_or_create(&TypeLabels { r#type }));
        }
    }

    /// Records how long after its cause an effect was committed (`waypost_critical_time_seconds`).
    pub fn critical_time(&self, r#type: &'static str, took: Duration) {
        let times = self.0.series.critical_time.get_or_create(&TypeLabels { r#type });
        times.observe(took.as_secs_f64());
    }
}
