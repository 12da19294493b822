//! Asks services for what their operations ports have: where each is, its token, what came of a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use common::config::{Service, Settings as Shared};
use common::process::chain;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Longest that one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What is said of an answer in another form than a service's.
const NOT_OURS: &str = "something answers there that is no service of Waypost";

/// A service that has an operations port.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Operated {
    /// Accounts and sessions.
    UserApi,
    /// Notifications and SMS.
    NotificationGateway,
    /// Mails.
    EmailWorker,
}

/// Whom to ask, and how to show it.
#[derive(Debug, Args)]
pub struct Asked {
    /// Ask this service alone
    #[arg(long)]
    service: Option<Operated>,
    /// Ask at this address instead of the one in the settings, such as <http://10.0.0.7:9080>
    #[arg(long)]
    url: Option<Url>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// An operations port: whose, where, and what opens it.
#[derive(Debug)]
pub(crate) struct Port {
    /// The service, or the address that was named instead.
    pub(crate) name: String,
    base: Url,
    token: SecretString,
    client: reqwest::Client,
}

/// Why there is no answer to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Nobody answers, or nobody who is a service of ours.
    #[error("{0}")]
    Away(String),
    /// It answers as if it had no operations API.
    #[error("has no operations API: set operations.token there and WAYPOST__OPERATIONS__TOKEN here")]
    Closed,
    /// It has another token.
    #[error("does not take the token: set WAYPOST__OPERATIONS__TOKEN to the operations.token it has")]
    BadToken,
    /// It says no.
    #[error("refuses: {said}")]
    Refused {
        /// By this status.
        status: StatusCode,
        /// What it says of it.
        said: String,
    },
}

/// A problem document, as far as a person needs it.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl From<Operated> for Service {
    fn from(operated: Operated) -> Self {
        match operated {
            Operated::UserApi => Self::UserApi,
            Operated::NotificationGateway => Self::NotificationGateway,
            Operated::EmailWorker => Self::EmailWorker,
        }
    }
}

impl Asked {
    /// The ports to ask of services that send: as [`Self::ports`], without user-api where nobody is named.
    pub(crate) fn senders(&self) -> anyhow::Result<Vec<Port>> {
        let mut ports = self.ports()?;
        if self.service.is_none() && self.url.is_none() {
            ports.retain(|port| port.name != Service::UserApi.name());
        }
        Ok(ports)
    }

    /// The ports to ask: of all services, unless one of them or an address is named.
    pub(crate) fn ports(&self) -> anyhow::Result<Vec<Port>> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            // Settings alone say where calls go, not the environment.
            .no_proxy()
            .build()?;
        let port = |service: Service| {
            let settings = Shared::load_shared(service)?;
            let base = match &self.url {
                Some(url) => url.clone(),
                None => base_of(&settings.operations.address)
                    .with_context(|| format!("operations.address of {service} is no address"))?,
            };
            anyhow::ensure!(
                matches!(base.scheme(), "http" | "https"),
                "an address begins with http:// or https://"
            );
            let name = match (&self.url, self.service) {
                (Some(url), None) => url.to_string(),
                _ => service.to_string(),
            };
            let (token, client) = (settings.operations.token, client.clone());
            Ok(Port {
                name,
                base,
                token,
                client,
            })
        };
        match (self.service, &self.url) {
            (Some(service), _) => Ok(vec![port(service.into())?]),
            (None, Some(_)) => Ok(vec![port(Service::Waypost)?]),
            (None, None) => Service::WITH_DATABASE.into_iter().map(port).collect(),
        }
    }
}

impl Port {
    /// Begins a request to this path. Each part is one segment and is percent-encoded.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> reqwest::RequestBuilder {
        self.request_with(method, path, &[])
    }

    fn request_with(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        let request = self.client.request(method, url);
        match self.token.expose_secret().trim() {
            "" => request,
            token => request.bearer_auth(token),
        }
    }

    /// Sends a request; null where the answer has no body.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Trouble> {
        let away = |error: reqwest::Error| Trouble::Away(chain(&error.without_url()));
        let mut answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(Trouble::Away("answers with more than can be meant".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            _ if status.is_success() && body.is_empty() => Ok(Value::Null),
            _ if status.is_success() => serde_json::from_slice(&body).map_err(|_| Trouble::Away(NOT_OURS.to_owned())),
            StatusCode::UNAUTHORIZED => Err(Trouble::BadToken),
            _ => Err(Trouble::Refused {
                status,
                said: said(status, &body),
            }),
        }
    }

    /// Asks for what is at this path, with these fields in the query. A 404 means that the service has no operations API.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Trouble> {
        let request = self.request_with(Method::GET, path, query);
        self.send(request).await.map_err(|trouble| match trouble {
            Trouble::Refused { status, .. } if status == StatusCode::NOT_FOUND => Trouble::Closed,
            trouble => trouble,
        })
    }

    /// The items of a list that every service has, on one page.
    pub(crate) async fn list(&self, path: &[&str]) -> Result<Vec<Value>, Trouble> {
        items(&mut self.get(path, &[]).await?)
    }

    /// Takes the items of a list, page after page, until `show` returns false or no page is left.
    pub(crate) async fn pages(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        mut show: impl FnMut(Value) -> bool,
    ) -> Result<(), Trouble> {
        let mut query = [query, &[("limit", "100".to_owned())]].concat();
        let fields = query.len();
        loop {
            let mut page = self.get(path, &query).await?;
            for item in items(&mut page)? {
                if !show(item) {
                    return Ok(());
                }
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                return Ok(());
            };
            query.truncate(fields);
            query.push(("cursor", cursor.to_owned()));
        }
    }
}

/// Takes the items of a page.
fn items(page: &mut Value) -> Result<Vec<Value>, Trouble> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Trouble::Away(NOT_OURS.to_owned())),
    }
}

/// What a refusal says.
fn said(status: StatusCode, body: &[u8]) -> String {
    let Ok(Problem { detail, errors }) = serde_json::from_slice(body) else {
        return format!("HTTP {}", status.as_u16());
    };
    let fields = errors
        .iter()
        .map(|FieldError { pointer, detail }| format!("{pointer} {detail}"));
    let fields: Vec<_> = fields.collect();
    if fields.is_empty() { detail } else { fields.join("; ") }
}

/// Where a port that listens at `address` can be asked. One that listens on all addresses (`0.0.0.0`, `::`) is asked over
/// the loopback address.
fn base_of(address: &str) -> Result<Url, url::ParseError> {
    let reachable = address.parse::<SocketAddr>().map(|mut address| {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address.to_string()
    });
    // It may be a name.
    let reachable = reachable.unwrap_or_else(|_| address.to_owned());
    Url::parse(&format!("http://{reachable}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_on_the_machine_itself() {
        for (address, base) in [
            ("0.0.0.0:9080", "http://127.0.0.1:9080/"),
            ("[::]:9081", "http://[::1]:9081/"),
            ("10.0.0.7:9082", "http://10.0.0.7:9082/"),
            ("user-api:9080", "http://user-api:9080/"),
        ] {
            assert_eq!(base_of(address).unwrap().as_str(), base);
        }
        assert!(base_of("nowhere at all").is_err());
    }

    #[test]
    fn a_refusal_names_the_fields_or_says_what_it_says() {
        let fields = br#"{"detail": "d", "errors": [{"pointer": "/mode", "detail": "must be on"}]}"#;
        assert_eq!(said(StatusCode::UNPROCESSABLE_ENTITY, fields), "/mode must be on");
        assert_eq!(said(StatusCode::NOT_FOUND, br#"{"detail": "not here"}"#), "not here");
        assert_eq!(said(StatusCode::BAD_GATEWAY, b"<html>"), "HTTP 502");
    }
}
