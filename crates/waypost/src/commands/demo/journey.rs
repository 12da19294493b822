//! The journey itself: sign up, log in, then wait for each effect side by side.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use common::Timestamp;
use common::telemetry::{BufferedSpan, TraceContext};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::embedded::Addresses;
use crate::page::Mail;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PASSWORD: &str = "a password for the demo";

/// What happened, and when.
pub(super) struct Journey {
    pub(super) started: Timestamp,
    pub(super) steps: Vec<(Timestamp, String)>,
    pub(super) trace_id: String,
    pub(super) spans: Vec<BufferedSpan>,
}

struct Watcher<'a> {
    client: &'a reqwest::Client,
    at: &'a Addresses,
    email: String,
    phone: String,
}

type Step = (Timestamp, String);

pub(super) async fn sign_up_and_watch(client: &reqwest::Client, at: &Addresses) -> anyhow::Result<Journey> {
    let unique = Uuid::now_v7().simple().to_string();
    let digits: String = unique
        .bytes()
        .rev()
        .take(7)
        .map(|byte| char::from(b'0' + byte % 10))
        .collect();
    let watcher = Watcher {
        client,
        at,
        email: format!("ada.{}@example.com", &unique[20..]),
        phone: format!("+1555{digits}"),
    };
    // Sampled, so that the journey can be shown whatever the ratio.
    let fresh = TraceContext::fresh().traceparent;
    let traceparent = format!("{}-01", fresh.trim_end_matches("-00"));
    let started = Timestamp::now();
    let user = watcher.sign_up(&traceparent).await?;
    let mut steps = vec![(
        Timestamp::now(),
        format!("user-api answered 201: {} is signed up", watcher.email),
    )];
    let token = watcher.log_in().await?;
    let effects = async {
        tokio::try_join!(
            watcher.notification(&token),
            watcher.mail(),
            watcher.sms(),
            watcher.channels(&token),
        )
    };
    let (notification, mail, sms, channels) = tokio::time::timeout(PATIENCE, effects)
        .await
        .with_context(|| format!("not everything arrived within {} s", PATIENCE.as_secs()))??;
    steps.extend([notification, mail, sms, channels]);
    steps.sort();
    let trace_id = traceparent[3..35].to_owned();
    let spans = watcher.spans(&trace_id).await;
    ensure!(user["version"] == 1, "the user has an unexpected version");
    Ok(Journey {
        started,
        steps,
        trace_id,
        spans,
    })
}

impl Watcher<'_> {
    async fn sign_up(&self, traceparent: &str) -> anyhow::Result<Value> {
        let body =
            json!({"email": self.email, "name": "Ada", "password": PASSWORD, "phone": self.phone, "locale": "en"});
        let url = format!("http://{}/v1/users", self.at.user_api);
        let answer = self
            .client
            .post(url)
            .header("traceparent", traceparent)
            .json(&body)
            .send()
            .await?;
        let status = answer.status();
        let user: Value = answer.json().await?;
        ensure!(status == 201, "the sign-up was answered {status}: {user}");
        Ok(user)
    }

    async fn log_in(&self) -> anyhow::Result<String> {
        let url = format!("http://{}/v1/sessions", self.at.user_api);
        let body = json!({"email": self.email, "password": PASSWORD});
        let answer: Value = self
            .client
            .post(url)
            .json(&body)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(answer["access_token"].as_str().context("no access token")?.to_owned())
    }

    /// The first notification on the live stream.
    async fn notification(&self, token: &str) -> anyhow::Result<Step> {
        let url = format!("http://{}/v1/notifications/stream", self.at.notification_gateway);
        // From the beginning: the notification may be there before the stream is.
        let request = self.client.get(url).bearer_auth(token).header("last-event-id", "0");
        let mut stream = request.send().await?.error_for_status()?;
        let mut text = String::new();
        while let Some(chunk) = stream.chunk().await? {
            text.push_str(&String::from_utf8_lossy(&chunk));
            let data = text.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim);
            if let Some(Ok(data)) = data.map(serde_json::from_str::<Value>) {
                let title = data["title"].as_str().unwrap_or_default();
                return Ok((
                    Timestamp::now(),
                    format!(
                        "the live stream showed the notification \"{title}\", seq {}",
                        data["seq"]
                    ),
                ));
            }
        }
        bail!("the stream of notifications ended")
    }

    async fn mail(&self) -> anyhow::Result<Step> {
        let Some(page) = self.at.page else {
            bail!("there is no development page to find the mail on (WAYPOST__MAIL__PAGE_ADDRESS)")
        };
        let url = format!("http://{page}/mails.json");
        loop {
            let mails: Vec<Mail> = self.client.get(&url).send().await?.json().await?;
            if let Some(mail) = mails.iter().find(|mail| mail.to == self.email) {
                let written = i64::try_from(mail.written_us).unwrap_or_default();
                let line = format!(
                    "the mail \"{}\" was delivered: http://{page}/mails/{}",
                    mail.subject, mail.name
                );
                return Ok((Timestamp::from_micros(written), line));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn sms(&self) -> anyhow::Result<Step> {
        let sandbox = self
            .at
            .provider_sandbox
            .context("there is no sandbox provider to ask: production starts none")?;
        let url = format!("http://{sandbox}/sandbox/requests?provider=sms");
        let to = format!("To={}", self.phone.replace('+', "%2B"));
        loop {
            let requests: Value = self.client.get(&url).send().await?.json().await?;
            let items = requests["items"].as_array().cloned().unwrap_or_default();
            if let Some(request) = items.iter().find(|request| request["body"].to_string().contains(&to)) {
                let at = request["at"]
                    .as_str()
                    .and_then(|at| serde_json::from_value(json!(at)).ok());
                return Ok((
                    at.unwrap_or_else(Timestamp::now),
                    "the SMS provider was called, and accepted".to_owned(),
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The notification with the state of every channel.
    async fn channels(&self, token: &str) -> anyhow::Result<Step> {
        let url = Url::parse(&format!("http://{}/v1/notifications", self.at.notification_gateway))?;
        loop {
            let list: Value = self
                .client
                .get(url.clone())
                .bearer_auth(token)
                .send()
                .await?
                .json()
                .await?;
            let channels = &list["items"][0]["channels"];
            let is = |channel: &str, states: &[&str]| {
                channels[channel].as_str().is_some_and(|state| states.contains(&state))
            };
            if is("email", &["accepted", "delivered", "sent"]) && is("sms", &["accepted", "delivered"]) {
                return Ok((
                    Timestamp::now(),
                    format!("the notification knows of every channel: {channels}"),
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The spans of the trace, once all services have ended theirs; none when this Waypost shows none.
    async fn spans(&self, trace_id: &str) -> Vec<BufferedSpan> {
        let Some(page) = self.at.page else { return Vec::new() };
        let url = format!("http://{page}/traces/{trace_id}.json");
        let mut spans = Vec::new();
        for _ in 0..40 {
            let Ok(answer) = self.client.get(&url).send().await else {
                return spans;
            };
            let now: Vec<BufferedSpan> = answer.json().await.unwrap_or_default();
            if !now.is_empty() && now.len() == spans.len() {
                return now;
            }
            spans = now;
            tokio::time::sleep(LOOK_EVERY * 3).await;
        }
        spans
    }
}
