//! The outlet beside all else, in one process: whatever Kafka does, people are answered and get their mail.

use std::time::Duration;

use serde_json::Value;
use test_support::{
    Folder, KafkaRecord, OtlpReceiver, Port, PrivateKafka, Process, SpanKind, eventually, workspace_binary,
};

use crate::client::{Client, PATIENCE, readiness};

const TOPIC: &str = "waypost.events";
const TRACE: &str = "2af7651916cd43dd8448eb211c80319c";

/// `waypost run` with an outlet.
struct Embedded {
    process: Process,
    client: Client,
    operations: String,
    otlp: OtlpReceiver,
    _folder: Folder,
    _ports: Vec<Port>,
}

impl Embedded {
    async fn start(url: &str) -> Self {
        let (folder, otlp) = (Folder::create(), OtlpReceiver::start());
        let ports: Vec<Port> = (0..6).map(|_| Port::reserve()).collect();
        let at = |index: usize| format!("127.0.0.1:{}", ports[index].number());
        let settings = [
            ("PROFILE", "test".to_owned()),
            ("TELEMETRY__OTLP_ENDPOINT", otlp.endpoint()),
            ("USER_API__HTTP__ADDRESS", at(0)),
            ("USER_API__OPERATIONS__ADDRESS", at(1)),
            ("NOTIFICATION_GATEWAY__HTTP__ADDRESS", at(2)),
            ("NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS", at(3)),
            ("EMAIL_WORKER__OPERATIONS__ADDRESS", at(4)),
            ("PROVIDER_SANDBOX__HTTP__ADDRESS", at(5)),
            ("OUTLETS__KAFKA__URL", url.to_owned()),
        ];
        let settings = settings.map(|(key, value)| (format!("WAYPOST__{key}"), value));
        let process = Process::run(workspace_binary("waypost"))
            .envs(settings)
            .arg("run")
            .folder(folder.path())
            .spawn();
        process.writes("Waypost is up", PATIENCE).await;
        Self {
            process,
            client: Client::new(&at(0), &at(2)),
            operations: at(1),
            otlp,
            _folder: folder,
            _ports: ports,
        }
    }

    /// Signs somebody up, and waits until their mail was sent: neither asks for Kafka.
    async fn serves(&self, email: &str, traceparent: Option<&str>) {
        let signed_up = self
            .client
            .sign_up_with(email, serde_json::json!({}), traceparent)
            .await;
        let (status, user) = signed_up.unwrap();
        assert_eq!(status, 201, "{user}");
        let token = self.client.log_in(email).await;
        eventually(PATIENCE, || async {
            let list = self.client.notifications(&token).await;
            list.first().is_some_and(|one| one["channels"]["email"] == "accepted")
        })
        .await;
    }

    /// Waits until `/readyz` says this of Kafka, which must never be more than that the service is degraded.
    async fn says_of_kafka(&self, state: &str, cure: &str) {
        eventually(PATIENCE, || async {
            let (status, document) = readiness(&self.operations).await?;
            assert_eq!(status, 200, "{document}");
            let told: &Value = &document["cures"]["kafka"];
            let is_told = told.as_str().unwrap_or_default().contains(cure);
            (document["dependencies"]["kafka"] == state && is_told).then_some(())
        })
        .await;
    }
}

/// Waits until the topic has so many records.
async fn records(kafka: &PrivateKafka, count: usize) -> Vec<KafkaRecord> {
    eventually(PATIENCE * 2, async || kafka.count(TOPIC).await >= count).await;
    kafka.records(TOPIC).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_away_without_its_topic_or_silent_holds_up_nothing_and_gets_all_in_the_end() {
    let mut kafka = PrivateKafka::prepare().await;
    let mut embedded = Embedded::start(&kafka.url()).await;
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    embedded.says_of_kafka("degraded", "does not answer").await;
    embedded.serves("away@example.com", Some(&traceparent)).await;

    kafka.start().await;
    embedded.says_of_kafka("degraded", "outlets.kafka.topic").await;
    embedded.serves("no-topic@example.com", None).await;
    kafka.create_topic(TOPIC, 3).await;
    embedded.says_of_kafka("up", "").await;
    // A sign-up and a mail of each.
    records(&kafka, 4).await;

    kafka.freeze();
    embedded.serves("silent@example.com", None).await;
    kafka.thaw();
    let records = records(&kafka, 6).await;

    let of_trace = |record: &&KafkaRecord| record.headers["traceparent"].contains(TRACE);
    let mut kinds: Vec<_> = records
        .iter()
        .filter(of_trace)
        .map(|record| (record.headers["ce_source"].as_str(), record.headers["ce_type"].as_str()))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [("email-worker", "email.sent.v1"), ("user-api", "user.registered.v1")]
    );
    is_a_cloud_event(&records);
    let is_ours =
        |span: &test_support::Span| span.kind == SpanKind::Producer && span.name == format!("publish {TOPIC}");
    embedded.otlp.wait_for(TRACE, PATIENCE, is_ours).await;
    println!("{} records in {TOPIC}; those of one trace: {kinds:?}", records.len());

    embedded.process.terminate();
    let status = embedded.process.exit(Duration::from_secs(10)).await;
    assert!(status.success(), "{}", embedded.process.output());
}

/// As the binding has it: attributes with `ce_`, the content's type without, the data alone as the value, the subject as key.
fn is_a_cloud_event(records: &[KafkaRecord]) {
    for record in records {
        let header = |name: &str| record.headers.get(name).map(String::as_str).unwrap_or_default();
        assert_eq!(header("ce_specversion"), "1.0");
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("ce_subject"), record.key);
        let data: Value = serde_json::from_str(&record.value).unwrap();
        assert_eq!(data["user_id"], record.key.as_str());
        assert!(
            !header("ce_id").is_empty() && !header("ce_time").is_empty(),
            "{record:?}"
        );
        assert!(
            record.headers.keys().all(|name| !name.starts_with("waypost-")),
            "{record:?}"
        );
    }
}
