//! A trace collector that takes everything and keeps nothing: services pay for the export, and this process does not grow.

use std::net::SocketAddr;

use anyhow::anyhow;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::task::JoinSet;
use tonic::{
    Request, Response, Status,
    transport::server::{Server, TcpIncoming},
};

/// What a report says of services that send their spans to a [`Collector`] and have nothing switched off.
pub(crate) const EVERYTHING_ON: &str = "token check, tracing at 10% to a collector, metrics; every limit stands";

/// A running collector, gone with its value.
pub(crate) struct Collector {
    endpoint: String,
    _server: JoinSet<()>,
}

impl Collector {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let incoming = TcpIncoming::bind(any).map_err(|error| anyhow!("no port for the collector: {error}"))?;
        let address = incoming.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let serving = Server::builder().add_service(TraceServiceServer::new(Sink));
            let _ = serving.serve_with_incoming(incoming).await;
        });
        Ok(Self {
            endpoint: format!("http://{address}"),
            _server: server,
        })
    }

    /// The settings by which a service sends it the spans of a tenth of the requests.
    pub(crate) fn telemetry(&self) -> [(&'static str, String); 2] {
        [
            ("WAYPOST__TELEMETRY__OTLP_ENDPOINT", self.endpoint.clone()),
            ("WAYPOST__TELEMETRY__SAMPLE_RATIO", "0.1".to_owned()),
        ]
    }
}

struct Sink;

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
