//! A private Redis that is spoken to over TLS.

use super::redis::PrivateRedis;
use crate::{Authority, Port, Shown};

/// A Redis that listens over TLS beside its plain port.
#[derive(Debug)]
pub struct PrivateTlsRedis {
    _redis: PrivateRedis,
    port: Port,
}

impl PrivateTlsRedis {
    /// Starts one that shows such a certificate and knows a user `tls` with this password; waits until it answers.
    pub async fn start(authority: &Authority, shown: Shown, password: &str) -> Self {
        let (port, papers) = (Port::reserve(), authority.papers(shown));
        let path = |path: &std::path::Path| path.to_str().expect("a path of plain letters").to_owned();
        let redis = PrivateRedis::start_with(&[
            "--tls-port",
            &port.number().to_string(),
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &path(&papers.certificate),
            "--tls-key-file",
            &path(&papers.key),
            "--user",
            "tls",
            "on",
            &format!(">{password}"),
            "~*",
            "&*",
            "+@all",
        ])
        .await;
        Self { _redis: redis, port }
    }

    /// Its port for TLS.
    pub fn port(&self) -> u16 {
        self.port.number()
    }
}
