//! The example's provider: the sandbox, as one who sends through it and as one who breaks it and looks into it.

use std::net::SocketAddr;

use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;
use uuid::Uuid;

pub(crate) struct Provider {
    at: Url,
    /// A client without layers.
    pub(crate) plain: Client,
}

impl Provider {
    pub(crate) fn at(address: SocketAddr) -> anyhow::Result<Self> {
        let (at, plain) = (
            format!("http://{address}/").parse()?,
            Client::builder().no_proxy().build()?,
        );
        Ok(Self { at, plain })
    }

    /// One SMS, with a key by which the provider knows a repetition.
    pub(crate) fn message(&self, request: impl Fn(Url) -> RequestBuilder) -> anyhow::Result<RequestBuilder> {
        let form = [("To", "+15550100"), ("From", "+15550000"), ("Body", "hello")];
        let url = self.at.join("2010-04-01/Accounts/AC1/Messages.json")?;
        let request = request(url).basic_auth("AC1", Some("token"));
        Ok(request
            .header("Idempotency-Key", Uuid::now_v7().to_string())
            .form(&form))
    }

    /// Has it fail like this from now on, and forget what it was asked.
    pub(crate) async fn becomes(&self, fault: &Value) -> anyhow::Result<()> {
        let (faults, requests) = (self.at.join("sandbox/faults/sms")?, self.at.join("sandbox/requests")?);
        self.plain.put(faults).json(fault).send().await?.error_for_status()?;
        self.plain.delete(requests).send().await?.error_for_status()?;
        Ok(())
    }

    /// How many requests reached it since.
    pub(crate) async fn asked(&self) -> anyhow::Result<usize> {
        let requests = self.at.join("sandbox/requests?provider=sms")?;
        let requests: Value = self.plain.get(requests).send().await?.json().await?;
        Ok(requests["items"].as_array().map_or(0, Vec::len))
    }
}
