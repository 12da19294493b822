//! What an access token says: the claims of an EdDSA JSON Web Token (RFC 7519, RFC 8037).

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Problem, kinds};
use crate::Timestamp;

/// Who issues tokens, and whom for.
pub const ISSUER: &str = "waypost";
/// When a caller may try again while no key is known: keys are not looked for more often.
const KEYS_RETRY_AFTER: Duration = Duration::from_secs(2);

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer, [`ISSUER`].
    pub iss: String,
    /// Audience, [`ISSUER`].
    pub aud: String,
    /// The person, or the other system.
    pub sub: Uuid,
    /// The person's session; another system has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// What the person may do beyond what is their own.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What the other system may do, with blanks between (RFC 8693, 4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds since the epoch when it was issued.
    pub iat: i64,
    /// Seconds since the epoch when it ends.
    pub exp: i64,
}

impl Claims {
    /// The claims of a token that is issued at `now` and ends at `ends`, without session, role or scope.
    pub fn new(sub: Uuid, now: Timestamp, ends: Timestamp) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub,
            sid: None,
            roles: Vec::new(),
            scope: None,
            iat: now.as_seconds(),
            exp: ends.as_seconds(),
        }
    }

    /// When the token ends.
    pub fn ends(&self) -> Timestamp {
        Timestamp::from_micros(self.exp.saturating_mul(1_000_000))
    }
}

/// Why a token was refused. Never holds the token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// It is no JWT, is too long, or is signed in a way that is not accepted.
    #[error("the token can't be read")]
    Malformed,
    /// Its key is not among those known.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Its signature, issuer or audience is wrong.
    #[error("the token does not verify")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// No key is known yet to verify it with.
    #[error("no key is known to verify tokens with")]
    NoKeys,
}

impl TokenError {
    /// Whether newer keys may make the token a good one.
    pub fn may_pass_with_newer_keys(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::NoKeys)
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => Self::bad_token().detail("The access token has expired."),
            TokenError::NoKeys => Self::unavailable(KEYS_RETRY_AFTER),
            TokenError::Malformed | TokenError::UnknownKey | TokenError::Invalid => Self::bad_token(),
        }
    }
}

/// The token in the `Authorization` header.
///
/// # Errors
/// 401 when there is none.
pub fn token_of(request: &HttpRequest) -> Result<&str, Problem> {
    // As bytes: asking a header for its text looks at each byte of a token by itself.
    let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let token = header.and_then(|header| {
        let (scheme, token) = header.split_at_checked(header.iter().position(|byte| *byte == b' ')?)?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
        is_bearer
            .then(|| std::str::from_utf8(token.trim_ascii()).ok())
            .flatten()
    });
    token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Problem::new(&kinds::UNAUTHORIZED))
}
