//! The sandbox asked over HTTP, as a caller of a real provider would.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod callbacks;
mod faults;
mod ranges;
mod requests;
mod sms;

use std::time::Duration;

use provider_sandbox::{Config, Running, start};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

struct Sandbox {
    running: Running,
    client: Client,
    stop: DropGuard,
}

impl Sandbox {
    fn start() -> Self {
        let stop = CancellationToken::new();
        let config = Config {
            address: "127.0.0.1:0".to_owned(),
        };
        let running = start(config, stop.clone()).unwrap();
        let client = Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        Self {
            running,
            client,
            stop: stop.drop_guard(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    fn message(&self) -> RequestBuilder {
        self.message_of("AC1", &[])
    }

    /// Whose sender wants to be told there what becomes of it.
    fn message_with(&self, callback: &str) -> RequestBuilder {
        self.message_of("AC1", &[("StatusCallback", callback)])
    }

    fn message_of(&self, account: &str, more: &[(&str, &str)]) -> RequestBuilder {
        let form = [
            ("To", "+15551234567"),
            ("From", "+15550000"),
            ("Body", "Hello & welcome"),
        ];
        self.client
            .post(self.url(&format!("/2010-04-01/Accounts/{account}/Messages.json")))
            .basic_auth(account, Some("secret-token"))
            .form(&[&form, more].concat())
    }

    async fn fault(&self, provider: &str, fault: Value) -> Response {
        let url = self.url(&format!("/sandbox/faults/{provider}"));
        self.client.put(url).json(&fault).send().await.unwrap()
    }

    async fn requests(&self, provider: &str) -> Vec<Value> {
        let url = self.url(&format!("/sandbox/requests?provider={provider}"));
        let list: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        list["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn it_stops_when_told_to_though_somebody_hangs() {
    let stop = CancellationToken::new();
    let config = Config {
        address: "127.0.0.1:0".to_owned(),
    };
    let running = start(config, stop.clone()).unwrap();
    let base = format!("http://{}", running.address);
    let client = Client::builder().build().unwrap();
    let fault = json!({"mode": "hang"});
    client
        .put(format!("{base}/sandbox/faults/hooks"))
        .json(&fault)
        .send()
        .await
        .unwrap();
    let hanging = client.post(format!("{base}/hooks/x")).send();
    let (_, stopped) = tokio::join!(hanging, async {
        // The request is in the log as soon as it hangs.
        loop {
            let list = client
                .get(format!("{base}/sandbox/requests"))
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            if list.contains("hang") {
                break;
            }
        }
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), running.finished()).await
    });
    stopped.unwrap().unwrap();
}
