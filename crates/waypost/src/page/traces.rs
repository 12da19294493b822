//! The traces of this process.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use common::telemetry::BufferedSpan;
use minijinja::context;

use super::shown::Shown;

/// Deepest indent; spans below it are shown at this depth.
const MAX_DEPTH: usize = 40;

pub(super) async fn show_json(shown: Data<Shown>, id: Path<String>) -> HttpResponse {
    HttpResponse::Ok().json(spans(&shown, &id))
}

pub(super) async fn show(shown: Data<Shown>, id: Path<String>) -> HttpResponse {
    let tree = tree(&spans(&shown, &id)).join("\n");
    let title = format!("Trace {id}");
    shown.html.page("trace.html", context! { title, tree })
}

fn spans(shown: &Shown, id: &str) -> Vec<BufferedSpan> {
    shown.spans.as_ref().map(|spans| spans.trace(id)).unwrap_or_default()
}

/// A trace as indented lines: when a span began after the first one, how long it took, whose it is, what it is.
pub fn tree(spans: &[BufferedSpan]) -> Vec<String> {
    let known: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    let Some(start) = spans.iter().map(|span| span.start_us).min() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for root in spans
        .iter()
        .filter(|span| !span.parent_span_id.as_deref().is_some_and(|id| known.contains(id)))
    {
        branch(spans, root, start, 0, &mut lines);
    }
    lines
}

fn branch(spans: &[BufferedSpan], span: &BufferedSpan, start: u64, depth: usize, lines: &mut Vec<String>) {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds for a person's eyes")]
    let ms = |us: u64| us as f64 / 1000.0;
    let error = if span.error { "  ERROR" } else { "" };
    lines.push(format!(
        "{:>8.1} ms {:>8.1} ms  {:<21}{}{} [{}]{error}",
        ms(span.start_us - start),
        ms(span.duration_us),
        span.service,
        "  ".repeat(depth),
        span.name,
        span.kind,
    ));
    if lines.len() > spans.len() {
        return;
    }
    for child in spans
        .iter()
        .filter(|child| child.parent_span_id.as_deref() == Some(&span.span_id))
    {
        branch(spans, child, start, (depth + 1).min(MAX_DEPTH), lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, start_us: u64) -> BufferedSpan {
        BufferedSpan {
            trace_id: "t".into(),
            span_id: id.into(),
            parent_span_id: parent.map(str::to_owned),
            service: "user-api".into(),
            name: id.into(),
            kind: "server".into(),
            start_us,
            duration_us: 1500,
            error: false,
        }
    }

    #[test]
    fn children_stand_below_their_parent_and_the_callers_child_is_a_root() {
        let lines = tree(&[
            span("a", Some("caller"), 10),
            span("b", Some("a"), 20),
            span("c", Some("b"), 30),
        ]);
        let indents: Vec<_> = lines
            .iter()
            .map(|line| line.split("user-api").nth(1).unwrap().trim_end().to_owned())
            .collect();
        assert!(
            indents[0].contains(" a [server]") && indents[1].contains("   b [") && indents[2].contains("     c ["),
            "{lines:?}"
        );
    }
}
