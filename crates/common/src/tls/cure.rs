//! What a person does about a server that was not trusted.
//!
//! Libraries say what they found in their own words, below several layers of errors. This looks for the error of the TLS
//! library among them and says what is to be done. The texts hold no address and no name, so that readiness may show them.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::CertificateError;

/// What to do when something answers that is not TLS.
pub const NO_TLS: &str =
    "what answers speaks no TLS: correct the scheme or the port of the URL, or switch TLS on there";
const EXPIRED: &str = "the server's certificate has expired: renew it there";
const TOO_EARLY: &str = "the server's certificate is not valid yet: compare the clocks of both machines";
const OTHER_NAME: &str = "the server's certificate is for another name than the URL has: write a name that it holds, or have one \
                          made for this name";
const UNKNOWN_ISSUER: &str = "nobody who is trusted vouches for the server's certificate: name the file of its authority in \
                              `ca_file`, beside the URL";
const REVOKED: &str = "the server's certificate was revoked: have another made";
const NO_GOOD: &str = "the server's certificate is none that can be taken: have another made";

/// What is to be done about an error; `None` when no error of TLS that has a cure is among its causes.
pub fn cure(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(problem) => Some(match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => EXPIRED,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TOO_EARLY,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => OTHER_NAME,
            // `BadSignature` as well: an authority that was made anew has the name of the old one and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => UNKNOWN_ISSUER,
            CertificateError::Revoked => REVOKED,
            _ => NO_GOOD,
        }),
        rustls::Error::InvalidMessage(_) => Some(NO_TLS),
        _ => None,
    }
}

/// The error of the TLS library, among an error and its causes.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = inside(error).or_else(|| error.source());
    }
    None
}

/// The error that a wrapper holds but skips as its source: the wrapper gives the source of the held error as its own.
fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(error.get_ref()?);
    }
    let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    Some(&**shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_that_knows_is_found_under_others() {
        let expired = || rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert_eq!(cure(&expired()), Some(EXPIRED));
        let in_io = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired()));
        assert_eq!(cure(&in_io), Some(EXPIRED));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(in_io);
        assert_eq!(cure(&shared), Some(EXPIRED));
        assert_eq!(cure(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
    }
}
