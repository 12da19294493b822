//! The keys that access tokens are verified with, as they are published (RFC 7517, RFC 8037) and in use.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::claims::{Claims, ISSUER, TokenError};
use super::remembered::Remembered;
use crate::Timestamp;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 4096;
/// How far two clocks may be apart.
const LEEWAY: Duration = Duration::from_mins(1);

/// A public key as it is published (RFC 8037). A key of another kind has other fields, which are not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// `OKP`
    pub kty: String,
    /// `Ed25519`
    #[serde(default)]
    pub crv: String,
    /// `sig`
    #[serde(rename = "use", default)]
    pub usage: String,
    /// `EdDSA`
    #[serde(default)]
    pub alg: String,
    /// Name of the key.
    #[serde(default)]
    pub kid: String,
    /// The key, base64url without padding.
    #[serde(default)]
    pub x: String,
}

impl Jwk {
    /// An Ed25519 key for signatures.
    pub fn ed25519(kid: String, x: String) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            usage: "sig".into(),
            alg: "EdDSA".into(),
            kid,
            x,
        }
    }
}

/// The document at `/.well-known/jwks.json` (RFC 7517).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwks {
    /// The keys. Those of other kinds are passed over.
    pub keys: Vec<Jwk>,
}

/// Keys that are ready to verify with, and the tokens that they were found to have signed. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Arc<HashMap<String, DecodingKey>>,
    /// Names and values of the keys.
    published: Arc<BTreeSet<(String, String)>>,
    remembered: Arc<Remembered>,
}

impl KeySet {
    /// Takes the Ed25519 keys of a set; those of another kind, or that can't be read, are left out.
    pub fn new(jwks: &Jwks) -> Self {
        let keys = of_our_kind(jwks)
            .filter_map(|key| Some((key.kid.clone(), DecodingKey::from_ed_components(&key.x).ok()?)))
            .collect::<HashMap<_, _>>();
        let published = of_our_kind(jwks).map(|key| (key.kid.clone(), key.x.clone()));
        Self {
            keys: Arc::new(keys),
            published: Arc::new(published.collect()),
            remembered: Arc::default(),
        }
    }

    /// The keys of a newer document. When it has the same ones, these are kept, with the tokens that are remembered.
    #[must_use]
    pub fn renewed(&self, jwks: &Jwks) -> Self {
        let newer = Self::new(jwks);
        if newer.published == self.published {
            self.clone()
        } else {
            newer
        }
    }

    /// Whether there is no key to verify with.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What [`verify`](Self::verify) says of a token whose signature was found good before; `None` of any other.
    pub(super) fn remembered(&self, token: &str, now: Timestamp) -> Option<Result<Arc<Claims>, TokenError>> {
        self.remembered.get(token).map(|claims| in_time(claims, now))
    }

    /// Checks signature, issuer, audience and time. Only EdDSA is accepted, whatever the token's header asks for.
    ///
    /// All but the time is checked once a token and remembered.
    ///
    /// # Errors
    /// [`TokenError`], by what does not hold.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        if let Some(known) = self.remembered(token, now) {
            return known;
        }
        let claims = in_time(Arc::new(self.check(token)?), now)?;
        self.remembered.keep(token, Arc::clone(&claims));
        Ok(claims)
    }

    /// Checks all but the time.
    fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::Malformed);
        }
        let key = header
            .kid
            .and_then(|kid| self.keys.get(&kid))
            .ok_or(TokenError::UnknownKey)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[ISSUER]);
        // Against `now`, by the caller: time is passed in.
        rules.validate_exp = false;
        let decoded = decode::<Claims>(token, key, &rules).map_err(|_| TokenError::Invalid)?;
        Ok(decoded.claims)
    }
}

fn of_our_kind(jwks: &Jwks) -> impl Iterator<Item = &Jwk> {
    jwks.keys.iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519")
}

fn in_time(claims: Arc<Claims>, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
    if claims.ends() + LEEWAY <= now {
        return Err(TokenError::Expired);
    }
    Ok(claims)
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_same_keys_fetched_again_keep_the_tokens_that_were_found_good() {
        let key = |kid: &str| Jwk::ed25519(kid.to_owned(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned());
        let now = Timestamp::from_micros(0);
        let ends = Timestamp::from_micros(1_000_000);
        let keys = KeySet::new(&Jwks { keys: vec![key("a")] });
        keys.remembered
            .keep("good", Arc::new(Claims::new(Uuid::nil(), now, ends)));
        let same = keys.renewed(&Jwks { keys: vec![key("a")] });
        assert!(same.remembered("good", now).is_some());
        let other = keys.renewed(&Jwks { keys: vec![key("b")] });
        assert!(other.remembered("good", now).is_none());
    }
}
