//! A certificate that is made for one test.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// What a server over TLS shows, and what its clients must trust.
pub(super) struct Certificate {
    pub(super) acceptor: TlsAcceptor,
    pub(super) root: Vec<u8>,
}

impl Certificate {
    /// For 127.0.0.1, signed by itself.
    pub(super) fn for_this_machine() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let root = made.cert.der().to_vec();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_no_client_auth()
                    .with_single_cert(vec![made.cert.into()], key)
            })
            .expect("a server's configuration");
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            root,
        }
    }
}
