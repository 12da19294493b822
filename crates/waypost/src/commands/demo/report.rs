//! Tells the demo's story on standard output.

use super::journey::Journey;
use crate::page::tree;

pub(super) use crate::commands::output::say as line;

/// Prints what happened when, and the trace.
pub(super) fn journey(journey: &Journey, otlp_endpoint: &str) {
    line("\nWhat happened, from the moment of the request:\n");
    for (at, what) in &journey.steps {
        line(&format!("{:>6} ms  {what}", at.since(journey.started).as_millis()));
    }
    line(&format!("\nOne trace, {}:\n", journey.trace_id));
    if journey.spans.is_empty() {
        line("  (this Waypost keeps no spans to show; only a development profile does)");
    } else {
        line("   began at      took  service              span [kind]");
        for entry in tree(&journey.spans) {
            line(&entry);
        }
    }
    let host = url::Url::parse(otlp_endpoint)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    if let Some(host) = host {
        line(&format!("\nIn Jaeger: http://{host}:16686/trace/{}", journey.trace_id));
    }
}
