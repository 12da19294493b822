//! Why the telemetry of a process can't start.

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector's address is none.
    #[error("telemetry.otlp_endpoint can't be used")]
    Endpoint(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The choice of log lines is none.
    #[error("telemetry.log_filter can't be used")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
}
