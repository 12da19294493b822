//! The way to a node: over TLS which certificates are taken, and that they are checked; below it, when a connection is given
//! up.

use std::time::Duration;

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{Client, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates};
use socket2::TcpKeepalive;

use super::OpenError;
use crate::tls::Authorities;

/// TCP keepalive: a connection on which nothing comes or goes is asked this often whether it still stands.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The connection ends when the node's system has not received what was written for so long; on Linux alone
/// (`TCP_USER_TIMEOUT`).
const UNRECEIVED: Duration = Duration::from_secs(10);

/// The authorities to trust; `None` trusts those that browsers trust.
pub(super) type Roots = Option<Authorities>;

/// A client of one node, over TLS when its address says so.
pub(super) fn client(node: ConnectionInfo, roots: &Roots) -> RedisResult<Client> {
    let node = node.set_tcp_settings(tcp());
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

/// Many commands share a connection: without Nagle's algorithm (RFC 896) none waits for the answer to the one before it.
fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(UNRECEIVED);
    tcp
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
