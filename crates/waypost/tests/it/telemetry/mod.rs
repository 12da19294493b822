//! What the running system tells about itself: metrics, traces at every ratio, log lines; and what it keeps to itself.

mod canary;
mod logs;
mod metrics;
mod sampling;

use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::Value;
use test_support::{amqp_url, eventually};

use crate::client::PATIENCE;
use crate::stack::Stack;

fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(PATIENCE / 3).build().unwrap()
}

/// A test's own connection to the broker that the stack uses.
struct Broker {
    channel: Channel,
    namespace: String,
    _connection: Connection,
}

impl Broker {
    async fn of(stack: &Stack) -> Self {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        Self {
            channel: connection.create_channel().await.unwrap(),
            namespace: stack.namespace().to_owned(),
            _connection: connection,
        }
    }

    /// A copy of every event from now on.
    async fn listen(&self) -> lapin::Consumer {
        let exclusive = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let none = FieldTable::default;
        let queue = self.channel.queue_declare("".into(), exclusive, none()).await.unwrap();
        let (name, exchange) = (queue.name().clone(), format!("{}.waypost.events", self.namespace));
        let bind = self.channel.queue_bind(
            name.clone(),
            exchange.into(),
            "#".into(),
            QueueBindOptions::default(),
            none(),
        );
        bind.await.unwrap();
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        self.channel
            .basic_consume(name, "".into(), options, none())
            .await
            .unwrap()
    }

    /// Publishes a message of any form.
    async fn publish(&self, kind: &str, headers: &[(&str, String)], body: &[u8]) {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString(value.as_str().into()));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_headers(table);
        let exchange = format!("{}.waypost.events", self.namespace);
        let options = BasicPublishOptions::default();
        let sent = self
            .channel
            .basic_publish(exchange.into(), kind.into(), options, body, properties);
        sent.await.unwrap().await.unwrap();
    }

    /// Takes that many messages out of a work queue's dead letters.
    async fn dead_letters(&self, queue: &str, count: usize) -> Vec<Delivery> {
        let dead = format!("{}.{queue}.dead", self.namespace);
        let mut taken = Vec::new();
        while taken.len() < count {
            let next = eventually(PATIENCE, || async {
                let got = self
                    .channel
                    .basic_get(dead.as_str().into(), BasicGetOptions { no_ack: true });
                got.await.unwrap()
            });
            taken.push(next.await.delivery);
        }
        taken
    }
}

/// A header of a message, when it is text.
fn header(delivery: &Delivery, name: &str) -> Option<String> {
    let headers = delivery.properties.headers().as_ref()?;
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}

/// The headers of a whole envelope around data of type `kind`.
fn envelope(kind: &str) -> Vec<(&'static str, String)> {
    let time = common::Timestamp::now().to_rfc3339();
    vec![
        ("cloudEvents_specversion", "1.0".to_owned()),
        ("cloudEvents_id", uuid::Uuid::now_v7().to_string()),
        ("cloudEvents_source", "user-api".to_owned()),
        ("cloudEvents_type", kind.to_owned()),
        ("cloudEvents_time", time),
    ]
}

/// Waits until the newest notification of this person knows that mail and SMS were taken.
async fn arrived_everywhere(stack: &Stack, token: &str) {
    eventually(PATIENCE, || async {
        let list = stack.client.notifications(token).await;
        let channels = list.first().map(|one| one["channels"].clone()).unwrap_or_default();
        channels["email"].is_string() && channels["email"] != "pending" && channels["sms"] == "accepted"
    })
    .await;
}

/// What the sandbox's SMS provider was asked.
async fn sms_calls(stack: &Stack) -> Vec<Value> {
    let url = format!("http://{}/sandbox/requests?provider=sms", stack.sandbox);
    let list: Value = http().get(url).send().await.unwrap().json().await.unwrap();
    list["items"].as_array().cloned().unwrap_or_default()
}
