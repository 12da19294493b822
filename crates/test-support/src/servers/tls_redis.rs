//! A private Redis that is spoken to over TLS.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::redis::PrivateRedis;
use crate::{Folder, Port};

/// A Redis with a certificate for 127.0.0.1, made for one test and signed by itself.
#[derive(Debug)]
pub struct PrivateTlsRedis {
    _redis: PrivateRedis,
    port: Port,
    papers: Folder,
}

impl PrivateTlsRedis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let (port, papers) = (Port::reserve(), Folder::create());
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let write = |name: &str, text: String| {
            let path = papers.join(name);
            std::fs::write(&path, text).expect("a file in the folder");
            path.to_str().expect("a path of plain letters").to_owned()
        };
        let certificate = write("certificate.pem", pem("CERTIFICATE", made.cert.der()));
        let key = write("key.pem", pem("PRIVATE KEY", &made.signing_key.serialize_der()));
        let redis = PrivateRedis::start_with(&[
            "--tls-port",
            &port.number().to_string(),
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
        ])
        .await;
        Self {
            _redis: redis,
            port,
            papers,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port.number())
    }

    /// The file with what its clients must trust.
    pub fn ca_file(&self) -> PathBuf {
        self.papers.join("certificate.pem")
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
