//! The span of a statement, named as OpenTelemetry's conventions have it.
//!
//! Each statement that goes through a [`Connection`](super::Connection) or a [`Transaction`](super::Transaction) has one,
//! within a trace that is recorded. What a service does by itself has none: a relay that looks for rows each second would
//! begin a trace each second. The span says which tables are asked and never what for: neither the text nor a parameter.

use std::future::Future;

use sea_orm::{DbBackend, DbErr};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::errors::code;
use super::summary::Summary;
use crate::telemetry::is_recorded;

/// The span of one statement, or of none where nothing is recorded.
pub(super) struct StatementSpan(Span);

impl StatementSpan {
    /// The span of the statement `sql`; none outside of a trace that is recorded.
    pub(super) fn of(backend: DbBackend, sql: &str) -> Self {
        // On the way of a request that is not recorded, this is one look at its context.
        Self(if is_recorded() {
            statement(backend, &Summary::of(sql))
        } else {
            Span::none()
        })
    }

    /// Does the statement's work within it.
    pub(super) async fn around<T>(self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let Self(span) = self;
        let mut unended = Unended(span.clone());
        let outcome = work.instrument(span.clone()).await;
        unended.0 = Span::none();
        if let Err(error) = &outcome {
            failed(&span, error);
        }
        outcome
    }
}

/// The span of a statement whose end has not come. Dropped like that, it was cancelled: whoever asked waits no longer, and
/// what the database made of it is not known.
struct Unended(Span);

impl Drop for Unended {
    fn drop(&mut self) {
        // This does nothing on a span that is none.
        self.0.record("otel.status_code", "ERROR");
        self.0.record("error.type", "cancelled");
    }
}

fn statement(backend: DbBackend, summary: &Summary) -> Span {
    let system = match backend {
        DbBackend::Sqlite => "sqlite",
        _ => "postgresql",
    };
    tracing::info_span!(
        "statement",
        otel.name = summary.text,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = system,
        db.query.summary = summary.text,
        db.operation.name = summary.operation,
        db.collection.name = summary.table,
        db.response.status_code = Empty,
        error.type = Empty,
    )
}

/// Records the code that the database gave, and not its text, which may quote a value.
fn failed(span: &Span, error: &DbErr) {
    if span.is_none() {
        return;
    }
    span.record("otel.status_code", "ERROR");
    let code = code(error);
    if let Some(code) = &code {
        span.record("db.response.status_code", code.as_ref());
    }
    span.record("error.type", code.as_deref().unwrap_or("_OTHER"));
}
