//! TLS to a node: which certificates are taken, and that they are checked.

use deadpool_redis::redis::{Client, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates};

use super::OpenError;
use crate::tls::Authorities;

/// The authorities to trust; `None` trusts those that browsers trust.
pub(super) type Roots = Option<Authorities>;

/// A client of one node, over TLS when its address says so.
pub(super) fn client(node: ConnectionInfo, roots: &Roots) -> RedisResult<Client> {
    match (node.addr(), roots) {
        (ConnectionAddr::TcpTls { .. }, Some(roots)) => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(roots.pem().to_vec()),
            };
            Client::build_with_tls(node, certificates)
        }
        _ => Client::open(node),
    }
}

/// Sees to it that a connection over TLS can be made, and is checked.
pub(super) fn secure(address: &ConnectionAddr) -> Result<(), OpenError> {
    if let ConnectionAddr::TcpTls { insecure, .. } = address {
        if *insecure {
            return Err(OpenError::Unchecked);
        }
        // The client takes the process' provider and panics without one. Who came first stays: the
        // HTTP client and the broker's use this same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    Ok(())
}
