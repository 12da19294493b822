//! A trace collector: takes spans over OTLP/gRPC and answers what a test asks of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as wire;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status};

/// What a span is to the work it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanKind {
    /// None of the others.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Publishes a message.
    Producer,
    /// Processes a message.
    Consumer,
}

/// One span, as a service exported it.
#[derive(Debug, Clone)]
pub struct Span {
    /// `service.name`: the attribute `waypost.service` of the span when it has one (several services in
    /// one process), its resource's otherwise.
    pub service: String,
    /// Trace id in hexadecimal.
    pub trace_id: String,
    /// Span id in hexadecimal.
    pub span_id: String,
    /// Span id of the parent; none for a root.
    pub parent_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its attributes, values as text.
    pub attributes: BTreeMap<String, String>,
    /// Names of its events, each with its attributes.
    pub events: Vec<(String, BTreeMap<String, String>)>,
    /// The text of its status.
    pub status: String,
    /// Trace ids of the spans that it links to.
    pub links: Vec<String>,
    /// Whether its status is an error.
    pub is_error: bool,
    /// Start, nanoseconds since 1970.
    pub start: u64,
    /// End, nanoseconds since 1970.
    pub end: u64,
}

/// A running collector on 127.0.0.1, gone with its value.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    task: JoinHandle<()>,
}

impl OtlpReceiver {
    /// Starts one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start() -> Self {
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let address = incoming.local_addr().expect("its address");
        let spans = Arc::new(Mutex::new(Vec::new()));
        let service = TraceServiceServer::new(Collector(Arc::clone(&spans)));
        let task = tokio::spawn(async move {
            let _ = Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await;
        });
        Self { address, spans, task }
    }

    /// Its address, as the setting `telemetry.otlp_endpoint` takes it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().clone()
    }

    /// The spans of one trace, by their start.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans.sort_by_key(|span| span.start);
        spans
    }

    /// Waits until the trace holds a span that fits, and gives back the whole trace; panics at the deadline.
    pub async fn wait_for(&self, trace_id: &str, deadline: Duration, fits: impl Fn(&Span) -> bool) -> Vec<Span> {
        crate::eventually(deadline, || async {
            let trace = self.trace(trace_id);
            trace.iter().any(&fits).then_some(trace)
        })
        .await
    }

    /// The spans of a trace whose parent is neither in it nor `outside` (the caller's own span).
    pub fn orphans(&self, trace_id: &str, outside: Option<&str>) -> Vec<Span> {
        let mut trace = self.trace(trace_id);
        let ids: BTreeSet<String> = trace.iter().map(|span| span.span_id.clone()).collect();
        trace.retain(|span| {
            span.parent_id
                .as_ref()
                .is_some_and(|parent| !ids.contains(parent) && Some(parent.as_str()) != outside)
        });
        trace
    }

    /// A trace as an indented tree, one span a line: for messages of failed tests.
    pub fn tree(&self, trace_id: &str) -> String {
        let trace = self.trace(trace_id);
        let ids: BTreeSet<&str> = trace.iter().map(|span| span.span_id.as_str()).collect();
        let mut text = String::new();
        for root in &trace {
            if !root.parent_id.as_deref().is_some_and(|id| ids.contains(id)) {
                draw(root, &trace, 0, &mut text);
            }
        }
        text
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn draw(span: &Span, trace: &[Span], depth: usize, text: &mut String) {
    let Span {
        service, name, kind, ..
    } = span;
    let micros = span.end.saturating_sub(span.start) / 1000;
    let _ = writeln!(
        text,
        "{:indent$}{service}: {name} ({kind:?}, {micros} us)",
        "",
        indent = depth * 2
    );
    for child in trace {
        if child.parent_id.as_deref() == Some(&span.span_id) {
            draw(child, trace, depth + 1, text);
        }
    }
}

struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock();
        for resource in request.into_inner().resource_spans {
            let attributes = texts(resource.resource.unwrap_or_default().attributes);
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(read(span, &service));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(span: wire::Span, service: &str) -> Span {
    let kind = match span.kind() {
        wire::span::SpanKind::Server => SpanKind::Server,
        wire::span::SpanKind::Client => SpanKind::Client,
        wire::span::SpanKind::Producer => SpanKind::Producer,
        wire::span::SpanKind::Consumer => SpanKind::Consumer,
        _ => SpanKind::Internal,
    };
    let attributes = texts(span.attributes);
    let own = attributes.get("waypost.service").map(String::as_str);
    Span {
        service: own.unwrap_or(service).to_owned(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        name: span.name,
        kind,
        attributes,
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
        events: span
            .events
            .into_iter()
            .map(|event| (event.name, texts(event.attributes)))
            .collect(),
        is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
        status: span.status.map(|status| status.message).unwrap_or_default(),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
