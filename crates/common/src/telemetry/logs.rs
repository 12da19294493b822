//! Log lines: JSON with the ids of the trace when nobody sits at a terminal, text when somebody does.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::current_service;
use crate::Timestamp;
use crate::config::Service;
use crate::error_chain::chain;

/// The same failure is written at most this often; the next line says how many were left out.
const SAME_FAILURE_EVERY: Duration = Duration::from_secs(1);
/// Most different failures that are remembered. For one more, all are forgotten.
const MAX_REMEMBERED: usize = 1000;

/// Longest value of a field, in bytes; a longer one is cut. Lines wait in memory, and the text of an answer may be long.
const MAX_VALUE: usize = 2048;

/// Writes events, as JSON or as text. A warning or error that was just written is left out and counted.
pub(super) struct Lines {
    main: Service,
    json: bool,
    failures: Failures,
}

impl Lines {
    pub(super) fn new(main: Service, json: bool) -> Self {
        Self {
            main,
            json,
            failures: Failures::default(),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let service = current_service().unwrap_or(self.main).name();
        let left_out = if level <= Level::WARN {
            let failure = format!("{service} {}", fields.failure(event.metadata().target()));
            let Some(left_out) = self.failures.admit(failure, Instant::now()) else {
                return Ok(());
            };
            left_out
        } else {
            0
        };
        if left_out > 0 {
            fields.others.insert("repeated".into(), left_out.into());
        }
        let span = context.lookup_current();
        if self.json {
            let line = json_line(
                level,
                service,
                event.metadata().target(),
                span.map(|span| span.name()),
                fields,
            );
            writeln!(writer, "{line}")
        } else {
            let around = span.and_then(|span| span.extensions().get::<FormattedFields<N>>().map(|f| cut(&f.fields)));
            writer.write_str(&text_line(level, service, &fields))?;
            match around.filter(|fields| level <= Level::WARN && !fields.is_empty()) {
                Some(fields) => writeln!(writer, " [{fields}]"),
                None => writeln!(writer),
            }
        }
    }
}

/// Writes the fields of spans, for lines of text. Lines of JSON show only the name of a span: for them nothing is written.
pub(super) struct SpanFields {
    pub(super) json: bool,
}

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        if self.json {
            return Ok(());
        }
        DefaultFields::new().format_fields(writer, fields)
    }
}

/// The line that says how many others were lost, as the thread that writes them says it by itself.
pub(super) fn losses(main: Service, json: bool, lost: u64) -> String {
    let mut fields = Fields {
        message: "log lines were lost: whoever reads them is too slow".to_owned(),
        ..Fields::default()
    };
    fields.others.insert("lost".into(), lost.into());
    if json {
        format!(
            "{}\n",
            json_line(Level::WARN, main.name(), module_path!(), None, fields)
        )
    } else {
        format!("{}\n", text_line(Level::WARN, main.name(), &fields))
    }
}

fn text_line(level: Level, service: &str, fields: &Fields) -> String {
    let head = format!(
        "{} {level:>5} {service}: {}",
        Timestamp::now().to_rfc3339(),
        fields.message
    );
    let others = fields.others.iter().map(|(key, value)| format!(" {key}={value}"));
    std::iter::once(head).chain(others).collect()
}

fn json_line(level: Level, service: &str, target: &str, span: Option<&str>, fields: Fields) -> Value {
    let mut line = Map::new();
    line.insert("timestamp".into(), Timestamp::now().to_rfc3339().into());
    line.insert("level".into(), level.as_str().to_lowercase().into());
    line.insert("service".into(), service.into());
    line.insert("target".into(), target.into());
    line.insert("message".into(), fields.message.into());
    let trace = Context::current();
    let trace = trace.span().span_context().clone();
    if trace.is_valid() {
        line.insert("trace_id".into(), trace.trace_id().to_string().into());
        line.insert("span_id".into(), trace.span_id().to_string().into());
    }
    if let Some(span) = span {
        line.insert("span".into(), span.into());
    }
    line.extend(fields.others);
    Value::Object(line)
}

/// Collects an event's fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    /// What makes two failures the same one: where, what, and why.
    fn failure(&self, target: &str) -> String {
        let why = ["error", "reason"].map(|name| self.others.get(name).and_then(Value::as_str).unwrap_or_default());
        format!("{target} {} {}", self.message, why.join(" "))
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = cut(&format!("{value:?}"));
        } else {
            self.put(field, cut(&format!("{value:?}")).into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = cut(value);
        } else {
            self.put(field, cut(value).into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, cut(&chain(value)).into());
    }
}

/// The value, or its beginning when it is too long for a line.
fn cut(value: &str) -> String {
    let kept = value.floor_char_boundary(MAX_VALUE);
    let mark = if kept < value.len() { ".." } else { "" };
    format!("{}{mark}", &value[..kept])
}

/// Remembers which failure was written when.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, (Instant, u64)>>);

impl Failures {
    /// When the line is to be written: how many lines of the same failure were left out since the last one. Else `None`.
    fn admit(&self, failure: String, now: Instant) -> Option<u64> {
        let mut seen = self.0.lock();
        if let Some((written, left_out)) = seen.get_mut(&failure) {
            if now.duration_since(*written) < SAME_FAILURE_EVERY {
                *left_out += 1;
                return None;
            }
            *written = now;
            return Some(std::mem::take(left_out));
        }
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.insert(failure, (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_written_once_a_second_with_a_count() {
        let failures = Failures::default();
        let start = Instant::now();
        let admit = |failure: &str, millis| failures.admit(failure.to_owned(), start + Duration::from_millis(millis));
        assert_eq!(admit("broken", 0), Some(0));
        assert_eq!(admit("broken", 10), None);
        assert_eq!(admit("other", 10), Some(0));
        assert_eq!(admit("broken", 1100), Some(1));
    }

    #[test]
    fn a_long_value_is_cut_between_two_letters() {
        assert_eq!(cut("short"), "short");
        let long = cut(&"ü".repeat(5000));
        assert_eq!((long.len(), long.ends_with("ü..")), (MAX_VALUE + 2, true));
    }

    #[test]
    fn another_cause_makes_another_failure() {
        let failure = |error: &str| {
            let mut fields = Fields {
                message: "a request failed".to_owned(),
                ..Fields::default()
            };
            fields.others.insert("error".to_owned(), error.into());
            fields.failure("http")
        };
        assert_eq!(failure("no route"), failure("no route"));
        assert_ne!(failure("no route"), failure("no answer"));
    }
}
