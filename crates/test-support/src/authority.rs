//! Certificates that are made for one test: an authority, and what servers show.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::Folder;

/// What a client finds in a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Its names are `localhost` and `127.0.0.1`, and the authority vouches for it.
    Right,
    /// The same, and its time is over.
    Expired,
    /// The same, for somebody else's name.
    OtherName,
    /// The same as the right one, but nobody knows who vouches for it.
    UnknownIssuer,
}

/// An authority of one test's own, and one that nobody knows. Its files are gone with its value.
#[derive(Debug)]
pub struct Authority {
    own: Signer,
    stranger: Signer,
    folder: Folder,
}

/// A certificate and its key, in PEM files.
#[derive(Debug, Clone)]
pub struct Papers {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

#[derive(Debug)]
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

impl Authority {
    /// Makes one.
    pub fn create() -> Self {
        let authority = Self {
            own: Signer::create("the authority of a test"),
            stranger: Signer::create("an authority that nobody knows"),
            folder: Folder::create(),
        };
        write(&authority.ca_file(), &pem("CERTIFICATE", &authority.own.certificate));
        authority
    }

    /// The file that clients must trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Makes a server's certificate, in two files named by `shown`; a second one of the same kind takes their place.
    pub fn papers(&self, shown: Shown) -> Papers {
        let (certificate, key) = self.make(shown);
        let papers = Papers {
            certificate: self.folder.join(&format!("{shown:?}.pem")),
            key: self.folder.join(&format!("{shown:?}.key")),
        };
        write(&papers.certificate, &pem("CERTIFICATE", &certificate));
        write(&papers.key, &pem("PRIVATE KEY", &key));
        papers
    }

    /// The same in DER: the certificate, and its key.
    pub(crate) fn make(&self, shown: Shown) -> (Vec<u8>, Vec<u8>) {
        let names = match shown {
            Shown::OtherName => vec!["elsewhere.example".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut parameters = CertificateParams::new(names).expect("names");
        parameters.not_before = date_time_ymd(2020, 1, 1);
        if shown == Shown::Expired {
            parameters.not_after = date_time_ymd(2020, 2, 1);
        }
        let signer = if shown == Shown::UnknownIssuer {
            &self.stranger
        } else {
            &self.own
        };
        let key = KeyPair::generate().expect("a key");
        let made = parameters.signed_by(&key, &signer.issuer).expect("a certificate");
        (made.der().to_vec(), key.serialize_der())
    }
}

impl Signer {
    fn create(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate").der().to_vec();
        Self {
            issuer: Issuer::new(parameters, key),
            certificate,
        }
    }
}

impl Papers {
    /// Copies both files over those that a server reads.
    pub(crate) fn copy_to(&self, other: &Self) {
        for (from, to) in [(&self.certificate, &other.certificate), (&self.key, &other.key)] {
            std::fs::copy(from, to).expect("the papers are copied");
        }
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file in the folder");
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
