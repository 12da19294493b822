//! Who may vouch for PostgreSQL: `database.ca_file`, or what the URL names itself.

use sea_orm::sqlx::postgres::PgConnectOptions;
use secrecy::ExposeSecret;
use url::Url;

use crate::config::Settings;
use crate::tls::{Authorities, AuthoritiesError};

/// What PostgreSQL's client takes for the file of authorities, in any of its spellings.
const ROOTS: [&str; 3] = ["sslrootcert", "ssl-root-cert", "ssl-ca"];
const MODES: [&str; 2] = ["sslmode", "ssl-mode"];
/// The modes in which the client looks at the certificate at all.
const CHECKING: [&str; 2] = ["verify-ca", "verify-full"];

/// Why it is not known who may vouch for PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file with the authorities can't be used.
    #[error(transparent)]
    File(#[from] AuthoritiesError),
    /// Two such files are named.
    #[error("database.ca_file is set and database.url has an sslrootcert: leave one of them out")]
    Two,
    /// Nobody would look at the certificate.
    #[error(
        "database.ca_file, or sslrootcert in database.url: this sslmode checks no certificate; \
         append sslmode=verify-full to database.url"
    )]
    Unchecked,
}

/// The authorities that `database.ca_file` names, for a database that is asked over TLS.
///
/// A file that the URL names is read by the client itself at each connection; here it is only looked at.
///
/// # Errors
/// [`TrustError`] when a file can't be used, both are given, or the URL's `sslmode` would pass over them.
pub fn authorities(settings: &Settings) -> Result<Option<Authorities>, TrustError> {
    let url = Url::parse(settings.database.url.expose_secret()).ok();
    let parameter = |names: &[&str]| {
        let mut pairs = url.as_ref()?.query_pairs();
        pairs.find_map(|(name, value)| names.contains(&&*name).then(|| value.into_owned()))
    };
    let own = Authorities::read("database.ca_file", &settings.database.ca_file)?;
    let named = parameter(&ROOTS);
    if let Some(file) = &named {
        Authorities::read("database.url, sslrootcert", file)?;
    }
    if own.is_some() && named.is_some() {
        return Err(TrustError::Two);
    }
    let is_checked = || parameter(&MODES).is_some_and(|mode| CHECKING.contains(&mode.as_str()));
    if (own.is_some() || named.is_some()) && !is_checked() {
        return Err(TrustError::Unchecked);
    }
    Ok(own)
}

/// The same options, for a client that takes these authorities' word; the client adds those that browsers trust.
pub fn trusting(options: PgConnectOptions, authorities: Option<&Authorities>) -> PgConnectOptions {
    match authorities {
        Some(authorities) => options.ssl_root_cert_from_pem(authorities.pem().to_vec()),
        None => options,
    }
}
