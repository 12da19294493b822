//! A private Kafka: one node that is broker and controller, and the tools that come with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use super::server::{Server, is_a_server, run};
use crate::{Folder, Port};

/// Where `make test-kafka` says that the jars are.
const LIBS: &str = "WAYPOST_KAFKA_LIBS";
/// `ApiVersions`, version 0, from nobody in particular.
const ASKS: &[u8] = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff";
/// The beginning of the answer: the upper half of its length, which is below 64 KiB.
const ANSWERS: &[u8] = b"\0\0";
/// Any id will do for a cluster of one.
const CLUSTER: &str = "d2F5cG9zdC1rYWZrYS10ZQ";

/// A Kafka of one test's own. Its topics and records stay through a kill.
#[derive(Debug)]
pub struct PrivateKafka {
    server: Server,
    _controller: Port,
}
is_a_server!(PrivateKafka);

/// A record as Kafka's own console consumer printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaRecord {
    /// Partition of the topic.
    pub partition: i32,
    /// Place in the partition.
    pub offset: i64,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

impl PrivateKafka {
    /// Starts one without topics, and waits until it answers. It makes a missing topic when a client uses one,
    /// which is Kafka's default.
    pub async fn start() -> Self {
        let mut kafka = Self::prepare().await;
        kafka.server.start().await;
        kafka
    }

    /// One that does not run yet.
    pub async fn prepare() -> Self {
        let (port, controller, folder) = (Port::reserve(), Port::reserve(), Folder::create());
        let settings = folder.join("server.properties");
        let (own, other) = (port.number(), controller.number());
        let text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{other}\n\
             listeners=PLAINTEXT://127.0.0.1:{own},CONTROLLER://127.0.0.1:{other}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{own}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={}\n\
             auto.create.topics.enable=true\n\
             offsets.topic.replication.factor=1\n\
             group.initial.rebalance.delay.ms=0\n",
            folder.join("data").display()
        );
        std::fs::write(&settings, text).expect("Kafka's settings");
        let mut format = java("kafka.tools.StorageTool");
        run({
            format.args(["format", "-t", CLUSTER, "-c"]).arg(&settings);
            format
        })
        .await;
        let mut command = java("kafka.Kafka");
        command.arg(settings);
        Self {
            server: Server::new(command, (ASKS, ANSWERS), port, folder),
            _controller: controller,
        }
    }

    /// Its address, as the setting `outlets.kafka.url` takes it.
    pub fn url(&self) -> String {
        format!("kafka://{}", self.address())
    }

    /// Makes a topic.
    pub async fn create_topic(&self, name: &str, partitions: u32) {
        let mut command = self.tool("org.apache.kafka.tools.TopicCommand");
        command.args(["--create", "--topic", name, "--partitions", &partitions.to_string()]);
        run(command).await;
    }

    /// Changes a setting of a topic: `max.message.bytes=4096`.
    pub async fn configure(&self, topic: &str, setting: &str) {
        let mut command = self.tool("kafka.admin.ConfigCommand");
        command.args([
            "--alter",
            "--entity-type",
            "topics",
            "--entity-name",
            topic,
            "--add-config",
            setting,
        ]);
        run(command).await;
    }

    /// How many records a topic has; 0 while it is not there.
    pub async fn count(&self, topic: &str) -> usize {
        let mut command = self.tool("org.apache.kafka.tools.GetOffsetShell");
        command.args(["--topic", topic]);
        let told = run(command).await;
        // `topic:partition:offset` a line.
        let ends = told.lines().filter_map(|line| line.rsplit_once(':'));
        ends.filter_map(|(_, end)| end.parse::<usize>().ok()).sum()
    }

    /// All records of a topic, partition by partition in their order, as Kafka's own console consumer reads them.
    pub async fn records(&self, topic: &str) -> Vec<KafkaRecord> {
        let count = self.count(topic).await;
        if count == 0 {
            return Vec::new();
        }
        let mut command = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args(["--topic", topic, "--from-beginning"]);
        command.args(["--max-messages", &count.to_string(), "--timeout-ms", "30000"]);
        for shown in ["partition", "offset", "headers", "key"] {
            command.args(["--property", &format!("print.{shown}=true")]);
        }
        let told = run(command).await;
        let mut records: Vec<_> = told.lines().filter_map(read).collect();
        assert_eq!(
            records.len(),
            count,
            "the console consumer printed something else:\n{told}"
        );
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    fn tool(&self, class: &str) -> Command {
        let mut command = java(class);
        command.args(["--bootstrap-server", &self.address()]);
        command
    }
}

/// A command that runs one of Kafka's classes, with a small heap and without the optimising compiler, to start quickly.
fn java(class: &str) -> Command {
    let libs = std::env::var(LIBS).map(PathBuf::from);
    let libs = libs.expect("WAYPOST_KAFKA_LIBS names the folder with Kafka's jars: `make test-kafka` sets it");
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx384m", "-cp"])
        .arg(libs.join("*"))
        .arg(class);
    command
}

/// Reads `Partition:0⇥Offset:7⇥name:value,name:value⇥key⇥value`; none of ours has a comma in a header.
fn read(line: &str) -> Option<KafkaRecord> {
    let mut parts = line.splitn(5, '\t');
    let partition = parts.next()?.strip_prefix("Partition:")?.parse().ok()?;
    let offset = parts.next()?.strip_prefix("Offset:")?.parse().ok()?;
    let headers = parts.next()?.split(',').filter_map(|header| header.split_once(':'));
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Some(KafkaRecord {
        partition,
        offset,
        headers,
        key: parts.next()?.to_owned(),
        value: parts.next()?.to_owned(),
    })
}
