//! What the running system tells about itself: metrics, traces at every ratio, log lines; and what it keeps to itself.

mod canary;
mod logs;
mod metrics;
mod refusals;
mod sampling;

use serde_json::Value;
use test_support::{AmqpClient, AmqpLetter, AmqpMessage, amqp_url, eventually};

use crate::client::PATIENCE;
use crate::stack::Stack;

fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(PATIENCE / 3).build().unwrap()
}

/// A test's own connection to the broker that the stack uses.
struct Broker {
    client: AmqpClient,
    namespace: String,
}

impl Broker {
    async fn of(stack: &Stack) -> Self {
        Self {
            client: AmqpClient::connect(&amqp_url()).await,
            namespace: stack.namespace().to_owned(),
        }
    }

    /// A queue that gets a copy of every event from now on.
    async fn listen(&self) -> String {
        self.client.copies_of(&self.events()).await
    }

    /// Publishes a message of any form.
    async fn publish(&self, kind: &str, headers: &[(&str, String)], body: &[u8]) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
        let message = AmqpMessage {
            content_type: Some("application/json".to_owned()),
            headers: headers.collect(),
            body: body.to_vec(),
        };
        self.client.publish(&self.events(), kind, &message).await;
    }

    /// Takes that many messages out of a work queue's dead letters.
    async fn dead_letters(&self, queue: &str, count: usize) -> Vec<AmqpLetter> {
        self.take(&format!("{}.{queue}.dead", self.namespace), count).await
    }

    /// Waits for that many messages in a queue, and takes all.
    async fn take(&self, queue: &str, count: usize) -> Vec<AmqpLetter> {
        eventually(PATIENCE, || async { self.client.depth(queue).await as usize >= count }).await;
        self.client.take(queue).await
    }

    fn events(&self) -> String {
        format!("{}.waypost.events", self.namespace)
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
        channels["email"].is_string()
            && channels["email"] != "pending"
            && ["accepted", "delivered"].iter().any(|end| channels["sms"] == *end)
    })
    .await;
}

/// What the sandbox's SMS provider was asked.
async fn sms_calls(stack: &Stack) -> Vec<Value> {
    let url = format!("http://{}/sandbox/requests?provider=sms", stack.sandbox);
    let list: Value = http().get(url).send().await.unwrap().json().await.unwrap();
    list["items"].as_array().cloned().unwrap_or_default()
}
