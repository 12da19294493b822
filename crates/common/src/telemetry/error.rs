//! Why the telemetry of a process can't start.

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.otlp_endpoint` is no address.
    #[error("telemetry.otlp_endpoint can't be used")]
    Endpoint(#[source] opentelemetry_otlp::ExporterBuildError),
    /// `telemetry.log_filter` is no filter.
    #[error("telemetry.log_filter can't be used")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
}
