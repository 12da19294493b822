//! Where the mail server is, and how a connection to it begins.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::dispatch::Unsaid;
use common::tls::{self, Authorities};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

use super::connection::Connection;
use super::failure::Failure;
use super::pace::Pace;
use super::stream::{Allowance, Bounded};
use super::verdict::Stage;
use crate::delivery::error::TransportError;
use crate::settings::{Encryption, SmtpAddress, login};

/// A connection on which nothing comes or goes is asked this often whether it still stands.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// A host that acknowledged nothing for so long is gone. A server that is slow to answer acknowledges all the same.
const GONE: Duration = Duration::from_secs(30);

/// Where a mail server is and how it is spoken to, from a URL of the form that `lettre` reads.
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    /// The password, which a server may repeat in a reply.
    unsaid: Unsaid,
    hello: ClientId,
}

/// An [`Encryption`] with what it takes.
enum Security {
    Plain,
    Offered(TlsParameters),
    Required(TlsParameters),
    Wrapped(Arc<ClientConfig>),
}

impl Server {
    pub(super) fn parse(url: &str, hello: &str, authorities: Option<&Authorities>) -> Result<Self, TransportError> {
        let url = Url::parse(url).map_err(|_| TransportError::Smtp("it can't be read as a URL"))?;
        let SmtpAddress { host, port, encryption } = SmtpAddress::of(&url).map_err(TransportError::Smtp)?;
        let parameters = || starttls(&host, authorities).map_err(TransportError::Tls);
        let wrapped = || tls::client(authorities).map_err(TransportError::WrappedTls);
        let security = match encryption {
            Encryption::None => Security::Plain,
            Encryption::Offered => Security::Offered(parameters()?),
            Encryption::Required => Security::Required(parameters()?),
            Encryption::Wrapped => Security::Wrapped(wrapped()?),
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::Domain(hello.to_owned()),
            name => ClientId::Domain(name.to_owned()),
        };
        let login = login(&url).map_err(TransportError::Smtp)?;
        Ok(Self {
            unsaid: login.as_ref().map(unsaid).unwrap_or_default(),
            credentials: login.map(|(user, password)| Credentials::new(user, password)),
            host,
            port,
            security,
            hello,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What is cut out of its replies before they are kept: the password, whatever the mail is.
    pub(super) fn unsaid(&self) -> Unsaid {
        self.unsaid.clone()
    }

    /// Connects, encrypts and signs in.
    pub(super) async fn connect(&self, pace: &mut Pace<'_>) -> Result<Connection, Failure> {
        let tcp = self.dial(pace).await?;
        let peer = tcp.peer_addr().map_err(|_| no_connection())?;
        let (allowance, limit) = (Allowance::new(), pace.deadlines.step);
        let mut connection = if let Security::Wrapped(config) = &self.security {
            let tls = pace.step(Stage::Connect, limit, self.wrap(config, tcp)).await?;
            let stream = Box::new(Bounded::new(tls, peer, allowance.clone()));
            let opening = Connection::open(stream, allowance, &self.hello);
            pace.step(Stage::Connect, limit, opening).await?
        } else {
            let stream = Box::new(Bounded::new(tcp, peer, allowance.clone()));
            let opening = Connection::open(stream, allowance, &self.hello);
            pace.step(Stage::Connect, limit, opening).await?
        };
        let parameters = match &self.security {
            Security::Required(parameters) => Some(parameters),
            Security::Offered(parameters) if connection.offers_tls() => Some(parameters),
            _ => None,
        };
        if let Some(parameters) = parameters {
            let encrypting = connection.encrypt(parameters.clone(), &self.hello);
            pace.step(Stage::Connect, limit, encrypting).await?;
        }
        if let Some(credentials) = &self.credentials {
            pace.step(Stage::Login, limit, connection.sign_in(credentials)).await?;
        }
        Ok(connection)
    }

    /// Connects to the first address that answers. Each address has its own time: a silent one does not hide the next.
    async fn dial(&self, pace: &mut Pace<'_>) -> Result<TcpStream, Failure> {
        let limit = pace.deadlines.dial;
        let resolving = async {
            let found = lookup_host((self.host.as_str(), self.port)).await;
            found.map_err(|_| Failure::broken(Stage::Connect, "the host's name has no address"))
        };
        let mut last = no_connection();
        for address in pace.step(Stage::Connect, limit, resolving).await? {
            let connecting = async { TcpStream::connect(address).await.map_err(|_| no_connection()) };
            match pace.step(Stage::Connect, limit, connecting).await {
                Ok(stream) => {
                    prepare(&stream);
                    return Ok(stream);
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn wrap(
        &self,
        config: &Arc<ClientConfig>,
        tcp: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(self.host.clone()).map_err(|error| Failure::of_tls(&error))?;
        let connector = TlsConnector::from(Arc::clone(config));
        let connected = connector.connect(name, tcp).await;
        connected.map_err(|error| Failure::of_tls(&error))
    }
}

fn no_connection() -> Failure {
    Failure::broken(Stage::Connect, "the connection failed")
}

/// Sets what makes mails fast and dead connections known. Where the system refuses a setting, both only happen later.
fn prepare(stream: &TcpStream) {
    // Without Nagle's algorithm (RFC 896): a mail's end is a write of its own, which would wait for the
    // acknowledgement of the text, and the server may take 40 ms for that.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(GONE));
}

/// How `lettre` speaks TLS after STARTTLS.
fn starttls(host: &str, authorities: Option<&Authorities>) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    parameters = match authorities {
        None => parameters.certificate_store(CertificateStore::WebpkiRoots),
        Some(authorities) => parameters
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(authorities.pem())?),
    };
    parameters.build()
}

/// The password in each form in which it is sent.
fn unsaid((user, password): &(String, String)) -> Unsaid {
    Unsaid::default()
        .secret(password)
        .secret(&BASE64_STANDARD.encode(password))
        .secret(&BASE64_STANDARD.encode(format!("\0{user}\0{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::smtp::pace::Deadlines;

    #[tokio::test]
    async fn a_connection_is_known_to_be_dead_when_its_host_is_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::parse(
            &format!("smtp://{}", listener.local_addr().unwrap()),
            "example.com",
            None,
        )
        .unwrap();
        let turns = tokio::sync::Semaphore::new(1);
        let mut pace = Pace::begin(&turns, Deadlines::USUAL).await.unwrap();
        let stream = server.dial(&mut pace).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GONE));
    }

    #[test]
    fn the_scheme_and_tls_decide_the_port_and_the_security() {
        let server = |url| Server::parse(url, "example.com", None).unwrap();
        assert_eq!(server("smtp://mail.test").port(), 25);
        assert_eq!(server("smtp://mail.test?tls=required").port(), 587);
        assert_eq!(server("smtps://mail.test").port(), 465);
        assert_eq!(server("smtps://mail.test:2465").port(), 2465);
        assert!(matches!(
            server("smtp://mail.test?tls=required").security,
            Security::Required(_)
        ));
        assert!(matches!(server("smtps://mail.test").security, Security::Wrapped(_)));
    }

    #[test]
    fn credentials_are_decoded() {
        let server = Server::parse("smtp://ann%40x:p%2Fw@mail.test", "example.com", None).unwrap();
        assert!(server.credentials == Some(Credentials::new("ann@x".to_owned(), "p/w".to_owned())));
    }

    #[test]
    fn a_url_that_can_not_be_used_says_why() {
        for url in [
            "smtp://",
            "smtp://mail.test?tls=maybe",
            "smtp://mail.test:port",
            "smtp://me@mail.test",
        ] {
            assert!(
                matches!(Server::parse(url, "example.com", None), Err(TransportError::Smtp(_))),
                "{url}"
            );
        }
    }
}
