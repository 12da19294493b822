//! Who may vouch for a server: those that browsers trust, or those in a file of one's own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// The certificates of authorities that a PEM file holds: the only authorities to trust. Cheap to clone.
#[derive(Clone)]
pub struct Authorities {
    pem: Arc<[u8]>,
    roots: Arc<RootCertStore>,
}

/// Why a file of authorities can't be used. Names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It can't be read.
    #[error("{key}: {file} can't be read")]
    File {
        /// The setting.
        key: &'static str,
        /// What it names.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is no PEM.
    #[error("{key}: {file} is not PEM")]
    Form {
        /// The setting.
        key: &'static str,
        /// What it names.
        file: String,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// It holds no certificate.
    #[error("{key}: no certificate in {file}; PEM is expected")]
    Empty {
        /// The setting.
        key: &'static str,
        /// What it names.
        file: String,
    },
    /// A certificate in it can't be an authority's.
    #[error("{key}: a certificate in {file} can't be an authority's")]
    Authority {
        /// The setting.
        key: &'static str,
        /// What it names.
        file: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

impl Authorities {
    /// Reads the PEM file that the setting `key` names; `None` when `file` is empty.
    ///
    /// # Errors
    /// [`AuthoritiesError`] when the file can't be read, or holds no certificate or one that can't be an authority's.
    pub fn read(key: &'static str, file: &str) -> Result<Option<Self>, AuthoritiesError> {
        if file.is_empty() {
            return Ok(None);
        }
        let named = || file.to_owned();
        let pem = std::fs::read(Path::new(file)).map_err(|source| AuthoritiesError::File {
            key,
            file: named(),
            source,
        })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|source| AuthoritiesError::Form {
                key,
                file: named(),
                source,
            })?;
            roots.add(certificate).map_err(|source| AuthoritiesError::Authority {
                key,
                file: named(),
                source,
            })?;
        }
        if roots.is_empty() {
            return Err(AuthoritiesError::Empty { key, file: named() });
        }
        Ok(Some(Self {
            pem: pem.into(),
            roots: roots.into(),
        }))
    }

    /// The content of the file (PEM), for clients that read it themselves.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authorities").field(&self.roots.len()).finish()
    }
}

/// How our clients speak TLS: they trust `authorities` alone, or else those that browsers trust (Mozilla's list).
///
/// # Errors
/// [`rustls::Error`] when the library is built without a version of TLS that our clients speak.
pub fn client(authorities: Option<&Authorities>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let roots = authorities.map_or_else(
        || Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
        |authorities| Arc::clone(&authorities.roots),
    );
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use test_support::{Authority, Folder};

    use super::*;
    use crate::error_chain::chain;

    #[test]
    fn a_file_that_names_no_authority_is_refused_with_the_settings_name_and_its_own() {
        let folder = Folder::create();
        let broken = "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n";
        let no_authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (name, text, said) in [
            ("missing", None, "can't be read: No such file"),
            ("empty", Some(""), "no certificate in"),
            ("text", Some("a word"), "no certificate in"),
            ("broken", Some(broken), "is not PEM"),
            ("other", Some(no_authority), "can't be an authority's"),
        ] {
            let file = folder.join(name);
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let error = chain(&Authorities::read("mail.ca_file", file.to_str().unwrap()).unwrap_err());
            assert!(error.starts_with("mail.ca_file: "), "{error}");
            assert!(
                error.contains(said) && error.contains(file.to_str().unwrap()),
                "{error}"
            );
        }
    }

    #[test]
    fn no_file_is_no_error_and_one_with_an_authority_is_read() {
        assert!(Authorities::read("mail.ca_file", "").unwrap().is_none());
        let authority = Authority::create();
        let file = authority.ca_file();
        let read = Authorities::read("mail.ca_file", file.to_str().unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(read.pem(), std::fs::read(file).unwrap());
        client(Some(&read)).unwrap();
        client(None).unwrap();
    }
}
