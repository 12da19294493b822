//! Where the mail server is, and how a connection to it begins.

use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use super::failure::{Failure, Stage};
use crate::delivery::error::TransportError;

/// The TCP connect to one address of the host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a mail server is and how it is spoken to, from a URL of the form that `lettre` reads.
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
}

/// How the conversation is encrypted.
enum Security {
    /// `smtp://`: not at all.
    Plain,
    /// `smtp://..?tls=opportunistic`: when the server offers STARTTLS.
    Offered(TlsParameters),
    /// `smtp://..?tls=required`: STARTTLS or nothing.
    Required(TlsParameters),
    /// `smtps://`: from the first byte.
    Wrapped(TlsParameters),
}

impl Server {
    pub(super) fn parse(url: &str) -> Result<Self, TransportError> {
        let url = Url::parse(url).map_err(|_| TransportError::Smtp("it can't be read as a URL"))?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(TransportError::Smtp("it names no host"))?
            .to_owned();
        let tls = url
            .query_pairs()
            .find(|(key, _)| key == "tls")
            .map(|(_, value)| value.into_owned());
        let parameters = || TlsParameters::new(host.clone()).map_err(TransportError::Tls);
        let (security, port) = match (url.scheme(), tls.as_deref()) {
            ("smtp", None) => (Security::Plain, SMTP_PORT),
            ("smtp", Some("opportunistic")) => (Security::Offered(parameters()?), SUBMISSION_PORT),
            ("smtp", Some("required")) => (Security::Required(parameters()?), SUBMISSION_PORT),
            ("smtps", _) => (Security::Wrapped(parameters()?), SUBMISSIONS_PORT),
            _ => return Err(TransportError::Smtp("tls must be `required` or `opportunistic`")),
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        Ok(Self {
            port: url.port().unwrap_or(port),
            credentials: credentials(&url)?,
            // The brackets of an IPv6 address belong to the URL only.
            host: host.trim_matches(['[', ']']).to_owned(),
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

    /// Connects, encrypts and signs in. The caller sets the deadline of the whole.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let connection = match &self.security {
            Security::Wrapped(parameters) => {
                let (address, timeout) = ((self.host.as_str(), self.port), Some(CONNECT_TIMEOUT));
                AsyncSmtpConnection::connect_tokio1(address, timeout, &self.hello, Some(parameters.clone()), None).await
            }
            _ => AsyncSmtpConnection::connect_with_transport(Box::new(self.dial().await?), &self.hello).await,
        };
        let secured = match connection {
            Ok(connection) => self.secure(connection).await,
            Err(error) => Err(error),
        };
        secured.map_err(|error| Failure::of(Stage::Connect, &error))
    }

    /// Without Nagle's algorithm (RFC 896): a mail's end is a write of its own, which would wait for the
    /// acknowledgement of the text, and the server may take 40 ms for that.
    async fn dial(&self) -> Result<TcpStream, Failure> {
        let failed = || Failure::broken(Stage::Connect, "the connection failed");
        let addresses = timeout(CONNECT_TIMEOUT, lookup_host((self.host.as_str(), self.port))).await;
        let addresses = addresses.map_err(|_| Failure::silence(Stage::Connect))?;
        let mut last = failed();
        for address in addresses.map_err(|_| failed())? {
            // Each has its own time, so that one which swallows everything does not hide the next.
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it a mail takes longer, no more.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(_)) => last = failed(),
                Err(_) => last = Failure::silence(Stage::Connect),
            }
        }
        Err(last)
    }

    async fn secure(&self, mut connection: AsyncSmtpConnection) -> Result<AsyncSmtpConnection, Error> {
        match &self.security {
            Security::Required(parameters) => connection.starttls(parameters.clone(), &self.hello).await?,
            Security::Offered(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, TransportError> {
    let Some(password) = url.password() else {
        return Ok(None);
    };
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| TransportError::Smtp("its user or password is not UTF-8"))
    };
    Ok(Some(Credentials::new(decode(url.username())?, decode(password)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_and_tls_decide_the_port_and_the_security() {
        let server = |url| Server::parse(url).unwrap();
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
        let server = Server::parse("smtp://ann%40x:p%2Fw@mail.test").unwrap();
        assert!(server.credentials == Some(Credentials::new("ann@x".to_owned(), "p/w".to_owned())));
    }

    #[test]
    fn a_url_that_can_not_be_used_says_why() {
        for url in ["smtp://", "smtp://mail.test?tls=maybe", "smtp://mail.test:port"] {
            assert!(matches!(Server::parse(url), Err(TransportError::Smtp(_))), "{url}");
        }
    }
}
