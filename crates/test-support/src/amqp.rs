//! A plain AMQP client: publishes what no service would, and reads what services leave on the broker.
//!
//! Each call panics when the broker refuses it or does not answer within 10 s.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// Longest that one call may take.
const CALL: Duration = Duration::from_secs(10);

/// A header's value; AMQP has more types than text.
#[derive(Debug, Clone)]
pub enum AmqpValue {
    /// Bytes that should be text.
    Text(Vec<u8>),
    /// A whole number.
    Number(i64),
    /// An empty list.
    List,
    /// A table within the table.
    Table,
    /// Nothing at all.
    Void,
}

impl From<&str> for AmqpValue {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

/// A message as it is sent: nothing is checked.
#[derive(Debug, Clone, Default)]
pub struct AmqpMessage {
    /// Property of the same name.
    pub content_type: Option<String>,
    /// Headers by their names.
    pub headers: BTreeMap<String, AmqpValue>,
    /// Body.
    pub body: Vec<u8>,
}

/// What was taken out of a queue.
#[derive(Debug, Clone)]
pub struct AmqpLetter {
    /// Headers that are text.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

/// A connection of the test's own.
pub struct AmqpClient {
    connection: Connection,
    channel: Channel,
}

impl AmqpClient {
    /// Connects, with publisher confirms.
    pub async fn connect(url: &str) -> Self {
        let connecting = async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        };
        within(connecting).await
    }

    /// Publishes and waits for the confirmation. A message that reaches no queue is confirmed, too.
    pub async fn publish(&self, exchange: &str, routing_key: &str, message: &AmqpMessage) {
        let mut headers = FieldTable::default();
        for (name, value) in &message.headers {
            headers.insert(name.as_str().into(), amqp(value));
        }
        let mut properties = BasicProperties::default().with_headers(headers);
        if let Some(content_type) = &message.content_type {
            properties = properties.with_content_type(content_type.as_str().into());
        }
        let options = BasicPublishOptions::default();
        let confirmation = within(async {
            self.channel
                .basic_publish(exchange.into(), routing_key.into(), options, &message.body, properties)
                .await?
                .await
        });
        assert!(confirmation.await.is_ack(), "the broker refused a message");
    }

    /// Makes a queue of this connection's own, which gets a copy of every message of an exchange from now on.
    pub async fn copies_of(&self, exchange: &str) -> String {
        let exclusive = QueueDeclareOptions {
            exclusive: true,
            ..Default::default()
        };
        let declared = within(self.channel.queue_declare("".into(), exclusive, FieldTable::default())).await;
        let (name, options) = (declared.name().clone(), QueueBindOptions::default());
        let everything = self.channel.queue_bind(
            name.clone(),
            exchange.into(),
            "#".into(),
            options,
            FieldTable::default(),
        );
        within(everything).await;
        name.to_string()
    }

    /// How many messages wait in a queue.
    pub async fn depth(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let declared = self.channel.queue_declare(queue.into(), passive, FieldTable::default());
        within(declared).await.message_count()
    }

    /// Takes all messages out of a queue.
    pub async fn take(&self, queue: &str) -> Vec<AmqpLetter> {
        let mut letters = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(letter) = within(self.channel.basic_get(queue.into(), options)).await {
            let table = letter.properties.headers().clone().unwrap_or_default();
            let texts = table.inner().iter().filter_map(|(name, value)| match value {
                AMQPValue::LongString(text) => {
                    Some((name.to_string(), String::from_utf8_lossy(text.as_bytes()).into_owned()))
                }
                _ => None,
            });
            letters.push(AmqpLetter {
                headers: texts.collect(),
                body: letter.delivery.data,
            });
        }
        letters
    }

    /// Drops all that waits in a queue.
    pub async fn purge_queue(&self, queue: &str) {
        within(self.channel.queue_purge(queue.into(), QueuePurgeOptions::default())).await;
    }

    /// Deletes a queue, with all that it holds.
    pub async fn delete_queue(&self, queue: &str) {
        let deleted = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        within(deleted).await;
    }

    /// Deletes an exchange, with its bindings.
    pub async fn delete_exchange(&self, exchange: &str) {
        let deleted = self
            .channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default());
        within(deleted).await;
    }

    /// Closes the connection.
    pub async fn close(self) {
        within(self.connection.close(200, "done".into())).await;
    }
}

fn amqp(value: &AmqpValue) -> AMQPValue {
    match value {
        AmqpValue::Text(bytes) => AMQPValue::LongString(LongString::from(bytes.clone())),
        AmqpValue::Number(number) => AMQPValue::LongLongInt(*number),
        AmqpValue::List => AMQPValue::FieldArray(FieldArray::default()),
        AmqpValue::Table => AMQPValue::FieldTable(FieldTable::default()),
        AmqpValue::Void => AMQPValue::Void,
    }
}

async fn within<T>(call: impl Future<Output = Result<T, lapin::Error>>) -> T {
    let answered = tokio::time::timeout(CALL, call).await;
    answered.expect("the broker answers").expect("the broker agrees")
}
