//! The keys that sign access tokens, and the set that the world verifies them with.
//!
//! They live in the database, so that all replicas share them; the first process to find none makes
//! one, under a lock. They are read in the background: a database that is away delays log-ins, never
//! the start.

use std::{
    future::ready,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use common::{
    Timestamp,
    database::{Database, within_deadline},
    http::{
        TokenKeys,
        keys::{Jwk, Jwks, KeySet},
    },
    messaging::Changes,
    process::{Tasks, chain},
};
use jsonwebtoken::{
    Algorithm, EncodingKey,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, ThumbprintHash},
};
use sea_orm::DbErr;

use crate::tables::signing_keys;

/// PKCS #8 in front of the 32 bytes of an Ed25519 private key (RFC 8410).
const PKCS8_HEADER: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Pause between two tries to read the keys.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Why keys could not be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("the signing keys could not be read from the database")]
    Database(#[from] DbErr),
    #[error("a signing key is not an Ed25519 key")]
    Unusable(#[from] jsonwebtoken::errors::Error),
}

/// The keys have not been read yet.
#[derive(Debug, thiserror::Error)]
#[error("the signing keys have not been read from the database yet")]
pub(crate) struct NoKeys;

/// All keys in use.
pub(crate) struct Ring {
    /// Id of the key that signs.
    pub(crate) key_id: String,
    /// The key that signs.
    pub(crate) signing: EncodingKey,
    /// Every key that verifies.
    pub(crate) verifying: KeySet,
    /// The public keys as JSON (RFC 7517).
    pub(crate) jwks: Bytes,
}

/// The ring, once it is there. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct SigningKeys(Arc<OnceLock<Ring>>);

impl SigningKeys {
    /// Reads the keys in the background, for as long as it takes.
    pub(crate) fn open(database: Database, changes: Changes, tasks: &Tasks) -> Self {
        let keys = Self::default();
        let stopping = tasks.stopping().clone();
        let reader = keys.clone();
        tasks.spawn("signing keys", async move {
            stopping.run_until_cancelled(reader.read(&database, &changes)).await;
        });
        keys
    }

    /// The keys, once the database has given them.
    pub(crate) fn ring(&self) -> Result<&Ring, NoKeys> {
        self.0.get().ok_or(NoKeys)
    }

    async fn read(&self, database: &Database, changes: &Changes) {
        let mut told = false;
        loop {
            match read_or_make(database, changes, Timestamp::now()).await {
                Ok(ring) => {
                    self.0.get_or_init(|| ring);
                    return;
                }
                Err(error) if !told => {
                    told = true;
                    tracing::warn!(error = chain(&error), "no signing keys yet; trying again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}

/// These keys are all that there are: a token that names another one is refused at once.
impl TokenKeys for SigningKeys {
    fn known(&self) -> Option<KeySet> {
        self.0.get().map(|ring| ring.verifying.clone())
    }

    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}

async fn read_or_make(database: &Database, changes: &Changes, now: Timestamp) -> Result<Ring, KeysError> {
    let known = within_deadline(signing_keys::in_use(database.read())).await?;
    if !known.is_empty() {
        return ring(&known);
    }
    let change = changes.begin().await?;
    signing_keys::lock_for_making(change.tx()).await?;
    // Another process may have made one between the look and the lock.
    let mut known = signing_keys::in_use(change.tx()).await?;
    if known.is_empty() {
        let key = make(now)?;
        tracing::info!(key_id = key.id, "made a signing key; it is kept in the database");
        signing_keys::insert(change.tx(), key.clone()).await?;
        known.push(key);
    }
    change.commit().await?;
    ring(&known)
}

fn make(now: Timestamp) -> Result<signing_keys::Model, KeysError> {
    let mut private_key = PKCS8_HEADER.to_vec();
    private_key.extend_from_slice(&rand::random::<[u8; 32]>());
    let key = EncodingKey::from_ed_der(&private_key);
    let public = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
    let AlgorithmParameters::OctetKeyPair(pair) = &public.algorithm else {
        return Err(unusable());
    };
    Ok(signing_keys::Model {
        id: public.thumbprint(ThumbprintHash::SHA256)?,
        public_key: BASE64_URL_SAFE_NO_PAD.decode(&pair.x).map_err(|_| unusable())?,
        private_key,
        created_at: now,
        retired_at: None,
    })
}

/// Makes the ring of keys, the newest first.
fn ring(keys: &[signing_keys::Model]) -> Result<Ring, KeysError> {
    let newest = keys.first().ok_or_else(unusable)?;
    let public = keys.iter().map(|key| {
        let x = BASE64_URL_SAFE_NO_PAD.encode(&key.public_key);
        Jwk::ed25519(key.id.clone(), x)
    });
    let set = Jwks { keys: public.collect() };
    Ok(Ring {
        key_id: newest.id.clone(),
        signing: EncodingKey::from_ed_der(&newest.private_key),
        jwks: serde_json::to_vec(&set).map_err(|_| unusable())?.into(),
        verifying: KeySet::new(&set),
    })
}

fn unusable() -> KeysError {
    KeysError::Unusable(ErrorKind::InvalidEddsaKey.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_s_public_half_verifies_what_it_signs() {
        let key = make(Timestamp::now()).unwrap();
        assert_eq!((key.private_key.len(), key.public_key.len()), (48, 32));
        let ring = ring(&[key]).unwrap();
        let signature = jsonwebtoken::crypto::sign(b"text", &ring.signing, Algorithm::EdDSA).unwrap();
        let set: Jwks = serde_json::from_slice(&ring.jwks).unwrap();
        let public = jsonwebtoken::DecodingKey::from_ed_components(&set.keys[0].x).unwrap();
        assert!(jsonwebtoken::crypto::verify(&signature, b"text", &public, Algorithm::EdDSA).unwrap());
    }
}
