//! Tells the demo's story on standard output.

use super::journey::Journey;
use crate::commands::output::say;
use crate::page::tree;

/// Prints what happened when, and the trace.
pub(super) fn journey(journey: &Journey, otlp_endpoint: &str) {
    say("\nWhat happened, from the moment of the request:\n");
    for (at, what) in &journey.steps {
        say(&format!("{:>6} ms  {what}", at.since(journey.started).as_millis()));
    }
    say(&format!("\nOne trace, {}:\n", journey.trace_id));
    if journey.spans.is_empty() {
        say("  (this Waypost keeps no spans to show; only a development profile does)");
    } else {
        say("   began at      took  service              span [kind]");
        for entry in tree(&journey.spans) {
            say(&entry);
        }
    }
    let host = url::Url::parse(otlp_endpoint)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    if let Some(host) = host {
        say(&format!("\nIn Jaeger: http://{host}:16686/trace/{}", journey.trace_id));
    }
}
