//! When a receiver speaks TLS, and how.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::{Authority, Shown};

/// When a receiver speaks TLS.
#[derive(Clone)]
pub(super) enum Tls {
    /// Never.
    None,
    /// From the first byte.
    Always(TlsAcceptor),
    /// When the client asks for it.
    Offered(TlsAcceptor),
}

/// A server's side of TLS that shows such a certificate.
pub(super) fn acceptor(authority: &Authority, shown: Shown) -> TlsAcceptor {
    let (certificate, key) = authority.make(shown);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.into()))
        })
        .expect("a server's configuration");
    TlsAcceptor::from(Arc::new(config))
}
