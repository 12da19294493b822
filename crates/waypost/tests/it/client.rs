//! A person's program: verbs over the two public APIs.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::eventually;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    users: String,
    gateway: String,
}

impl Client {
    pub(crate) fn new(users: &str, gateway: &str) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            // Shorter than the services keep a connection, or one that is being closed would be used.
            .pool_idle_timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self {
            http,
            users: format!("http://{users}"),
            gateway: format!("http://{gateway}"),
        }
    }

    /// Address of user-api, for requests that no verb here makes.
    pub(crate) fn users(&self) -> &str {
        &self.users
    }

    /// Address of the gateway.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Signs somebody up; gives back the status and the body. `None` when no answer came.
    pub(crate) async fn sign_up(&self, email: &str) -> Option<(u16, Value)> {
        self.sign_up_with(email, json!({}), None).await
    }

    pub(crate) async fn sign_up_with(
        &self,
        email: &str,
        more: Value,
        traceparent: Option<&str>,
    ) -> Option<(u16, Value)> {
        let mut body = json!({"email": email, "name": "Ada", "password": PASSWORD});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        let mut request = self.http.post(format!("{}/v1/users", self.users)).json(&body);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// Signs somebody up, and says what became of it.
    pub(crate) async fn try_sign_up(&self, email: &str, phone: Option<String>) -> Met {
        let mut body = json!({"email": email, "name": "Ada", "password": PASSWORD});
        body["phone"] = phone.into();
        let request = self.http.post(format!("{}/v1/users", self.users)).json(&body);
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                // An answer that breaks off was none.
                answer
                    .bytes()
                    .await
                    .map_or_else(|error| Met::Lost(chain(&error)), |_| Met::Answer(status))
            }
            Err(error) if error.is_connect() => Met::Refused,
            Err(error) => Met::Lost(chain(&error)),
        }
    }

    /// Reads an account; gives back the status and the header `Cache-Status`.
    pub(crate) async fn read_through_cache(&self, id: &str, token: &str) -> Option<(u16, String)> {
        let request = self
            .http
            .get(format!("{}/v1/users/{id}", self.users))
            .bearer_auth(token);
        let answer = request.send().await.ok()?;
        let cache = answer.headers().get("cache-status");
        let cache = cache
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Some((answer.status().as_u16(), cache))
    }

    /// Reads an account; gives back its version when the answer is 200.
    pub(crate) async fn version_of(&self, id: &str, token: &str) -> Option<i64> {
        let request = self
            .http
            .get(format!("{}/v1/users/{id}", self.users))
            .bearer_auth(token);
        let answer = request.send().await.ok()?;
        let user: Value = answer.error_for_status().ok()?.json().await.ok()?;
        user["version"].as_i64()
    }

    /// Changes the name of an account that has this version; gives back the new version, or the status that is none
    /// of success.
    pub(crate) async fn rename(&self, id: &str, token: &str, version: i64, name: &str) -> Result<i64, Option<u16>> {
        let tag = format!("\"{}-{version}\"", id.replace('-', ""));
        let request = self
            .http
            .patch(format!("{}/v1/users/{id}", self.users))
            .bearer_auth(token)
            .header("if-match", tag)
            .header("content-type", "application/merge-patch+json")
            .body(json!({"name": name}).to_string());
        let answer = request.send().await.map_err(|_| None)?;
        let status = answer.status().as_u16();
        let user: Value = answer
            .error_for_status()
            .map_err(|_| Some(status))?
            .json()
            .await
            .map_err(|_| None)?;
        user["version"].as_i64().ok_or(Some(status))
    }

    pub(crate) async fn log_in(&self, email: &str) -> String {
        let body = json!({"email": email, "password": PASSWORD});
        let log_in = async || {
            let request = self.http.post(format!("{}/v1/sessions", self.users)).json(&body);
            let answer = request.send().await.unwrap();
            // Shed on a busy machine: nothing was done, and it is asked again.
            (answer.status() != 503).then_some(answer)
        };
        let answer = eventually(PATIENCE, log_in).await;
        assert_eq!(answer.status(), 201, "logging in");
        let tokens: Value = answer.json().await.unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn read_user(&self, id: &str, token: &str) -> u16 {
        let request = self
            .http
            .get(format!("{}/v1/users/{id}", self.users))
            .bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    /// Changes an account, whatever its version; gives back the status and the body.
    pub(crate) async fn change_user(&self, id: &str, token: &str, patch: &Value) -> (u16, Value) {
        let request = self.http.patch(format!("{}/v1/users/{id}", self.users));
        let request = request.bearer_auth(token).header("if-match", "*");
        let answer = request.json(patch).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn notifications(&self, token: &str) -> Vec<Value> {
        let request = self
            .http
            .get(format!("{}/v1/notifications", self.gateway))
            .bearer_auth(token);
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Opens the live stream from the beginning.
    pub(crate) async fn stream(&self, token: &str) -> Stream {
        self.stream_after(token, 0).await.unwrap()
    }

    /// Opens the live stream after a number; `None` when it can't be opened now.
    pub(crate) async fn stream_after(&self, token: &str, seq: i64) -> Option<Stream> {
        let request = self
            .http
            .get(format!("{}/v1/notifications/stream", self.gateway))
            .bearer_auth(token);
        let request = request.header("last-event-id", seq).timeout(PATIENCE);
        let response = request.send().await.ok()?.error_for_status().ok()?;
        Some(Stream {
            response,
            text: String::new(),
        })
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Met {
    /// A whole answer, with this status.
    Answer(u16),
    /// Nobody took the connection.
    Refused,
    /// The request was sent and no whole answer came.
    Lost(String),
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An open stream of notifications.
pub(crate) struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    /// The next notification; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data:")) {
                    return Some(serde_json::from_str(data.trim()).unwrap());
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

/// What an operations port shows at `/metrics`.
pub(crate) async fn scrape(address: &str) -> reqwest::Result<String> {
    let answer = operations_client()
        .get(format!("http://{address}/metrics"))
        .send()
        .await?;
    answer.text().await
}

/// Whether the breaker of a destination is shown in this state: 0 closed, 1 half-open, 2 open.
pub(crate) async fn has_breaker(address: &str, destination: &str, state: u8) -> bool {
    let metrics = scrape(address).await.unwrap_or_default();
    let end = format!("destination=\"{destination}\"}} {state}");
    metrics
        .lines()
        .any(|line| line.starts_with("waypost_breaker_state") && line.ends_with(&end))
}

fn operations_client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap()
}

/// What an operations port answers to `/readyz`: the status code and the document.
pub(crate) async fn readiness(address: &str) -> Option<(u16, Value)> {
    let request = operations_client().get(format!("http://{address}/readyz"));
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

/// Waits until the operations port says this status word.
pub(crate) async fn wait_until(address: &str, word: &str) {
    eventually(PATIENCE, || async {
        readiness(address)
            .await
            .is_some_and(|(_, document)| document["status"] == word)
    })
    .await;
}
