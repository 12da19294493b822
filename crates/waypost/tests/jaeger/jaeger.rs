//! A private Jaeger, and what its query API says of a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use test_support::{Folder, Port, Process, eventually};

use crate::client::PATIENCE;

/// A running Jaeger that keeps its traces in memory.
pub(crate) struct Jaeger {
    query: String,
    otlp: Port,
    http: reqwest::Client,
    _process: Process,
    _folder: Folder,
    _ports: [Port; 2],
}

/// One span, as Jaeger shows it.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Jaeger {
    pub(crate) async fn start() -> Self {
        let (otlp, query, grpc) = (Port::reserve(), Port::reserve(), Port::reserve());
        let folder = Folder::create();
        let file = folder.join("jaeger.yaml");
        let configuration = include_str!("jaeger.yaml")
            .replace("OTLP_PORT", &otlp.number().to_string())
            .replace("QUERY_PORT", &query.number().to_string())
            .replace("GRPC_PORT", &grpc.number().to_string());
        std::fs::write(&file, configuration).unwrap();
        let process = Process::run(binary()).arg("--config").arg(&file).spawn();
        let jaeger = Self {
            query: format!("http://127.0.0.1:{}", query.number()),
            otlp,
            http: reqwest::Client::new(),
            _process: process,
            _folder: folder,
            _ports: [query, grpc],
        };
        eventually(PATIENCE, || async { jaeger.get("/api/services").await.is_some() }).await;
        jaeger
    }

    pub(crate) fn otlp_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp.number())
    }

    /// Names of the services that sent spans.
    pub(crate) async fn services(&self) -> Vec<String> {
        let answer = self.get("/api/services").await.unwrap();
        let names = answer["data"].as_array().cloned().unwrap_or_default();
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The spans of a trace; none when it is not there yet.
    pub(crate) async fn trace(&self, id: &str) -> Vec<Span> {
        let answer = self.get(&format!("/api/traces/{id}")).await.unwrap_or_default();
        let trace = &answer["data"][0];
        let spans = trace["spans"].as_array().cloned().unwrap_or_default();
        spans.iter().map(|span| read(span, &trace["processes"])).collect()
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.http.get(format!("{}{path}", self.query)).send().await.ok()?;
        answer.json().await.ok()
    }
}

impl Span {
    pub(crate) fn is(&self, service: &str, kind: &str) -> bool {
        self.service == service && self.tags.get("span.kind").is_some_and(|own| own == kind)
    }
}

/// The binary that `JAEGER_BIN` names, or the one that `make jaeger` built.
fn binary() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.waypost/bin/jaeger");
    let path = std::env::var_os("JAEGER_BIN").map_or_else(built, PathBuf::from);
    assert!(
        path.exists(),
        "{} is not there: make jaeger, or set JAEGER_BIN",
        path.display()
    );
    path
}

fn read(span: &Value, processes: &Value) -> Span {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let tags = span["tags"].as_array().cloned().unwrap_or_default();
    let references = span["references"].as_array().cloned().unwrap_or_default();
    let parent = references.iter().find(|reference| reference["refType"] == "CHILD_OF");
    Span {
        service: text(&processes[text(&span["processID"])]["serviceName"]),
        id: text(&span["spanID"]),
        parent: parent.map(|reference| text(&reference["spanID"])),
        name: text(&span["operationName"]),
        tags: tags
            .iter()
            .map(|tag| (text(&tag["key"]), text(&tag["value"])))
            .collect(),
    }
}

/// The trace as an indented tree, one span a line.
pub(crate) fn tree(spans: &[Span]) -> String {
    fn draw(span: &Span, spans: &[Span], depth: usize, text: &mut String) {
        let kind = span.tags.get("span.kind").map_or("internal", String::as_str);
        let _ = writeln!(
            text,
            "{:indent$}{}: {} [{kind}]",
            "",
            span.service,
            span.name,
            indent = depth * 2
        );
        for child in spans.iter().filter(|child| child.parent.as_ref() == Some(&span.id)) {
            draw(child, spans, depth + 1, text);
        }
    }
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let mut text = String::new();
    for root in spans
        .iter()
        .filter(|span| !span.parent.as_deref().is_some_and(|id| ids.contains(id)))
    {
        draw(root, spans, 0, &mut text);
    }
    text
}
