//! The keys that sign access tokens, and the set that the world verifies them with.
//!
//! They live in the database, so that all replicas share them; the first process to find none makes
//! one, under a lock. They are read in the background: a database that is away delays log-ins, never
//! the start.
//!
//! They are read again and again, so that a key that was retired in the table is used by nobody any more, and a new one is
//! published by all replicas before any of them signs with it.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use common::{
    Timestamp,
    database::{Database, within_deadline},
    http::{
        KeyPair, TokenKeys, UnusableKey,
        keys::{Jwk, Jwks, KeySet},
    },
    messaging::Changes,
    process::{Tasks, chain},
};
use jsonwebtoken::EncodingKey;
use sea_orm::DbErr;

use crate::tables::signing_keys;

/// Pause between two tries to read the first keys.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How often they are read again: so long a retired key may still be used.
const REREAD_EVERY: Duration = Duration::from_secs(30);
/// A token with an unknown key has them read at once, but no more often than this: anybody can make one up.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a new key is published before it signs: whoever verifies keeps the published ones for five minutes.
const PUBLISHED_BEFORE: Duration = Duration::from_mins(10);

/// Why keys could not be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("the signing keys could not be read from the database")]
    Database(#[from] DbErr),
    #[error(transparent)]
    Unusable(#[from] UnusableKey),
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
#[derive(Clone)]
pub(crate) struct SigningKeys(Arc<Kept>);

struct Kept {
    database: Database,
    changes: Changes,
    ring: ArcSwapOption<Ring>,
    /// Held while reading, so that all who wait share one look: when the last one was, and whether it failed.
    reading: tokio::sync::Mutex<(Option<Instant>, bool)>,
}

impl SigningKeys {
    /// Reads the keys in the background, for as long as it takes, and again from time to time.
    pub(crate) fn open(database: Database, changes: Changes, tasks: &Tasks) -> Self {
        let keys = Self(Arc::new(Kept {
            database,
            changes,
            ring: ArcSwapOption::empty(),
            reading: tokio::sync::Mutex::default(),
        }));
        let stopping = tasks.stopping().clone();
        let reader = keys.clone();
        tasks.spawn("signing keys", async move {
            let reading = async {
                loop {
                    reader.read(RETRY_EVERY).await;
                    let is_there = reader.0.ring.load().is_some();
                    tokio::time::sleep(if is_there { REREAD_EVERY } else { RETRY_EVERY }).await;
                }
            };
            stopping.run_until_cancelled(reading).await;
        });
        keys
    }

    /// The keys, once the database has given them.
    pub(crate) fn ring(&self) -> Result<Arc<Ring>, NoKeys> {
        self.0.ring.load_full().ok_or(NoKeys)
    }

    /// Reads them, unless somebody did within `at_least`. Those that are known stay when that fails.
    async fn read(&self, at_least: Duration) {
        let mut reading = self.0.reading.lock().await;
        let (last, failed) = &mut *reading;
        if last.is_some_and(|at| at.elapsed() < at_least) {
            return;
        }
        let read = read_or_make(&self.0.database, &self.0.changes, Timestamp::now()).await;
        *last = Some(Instant::now());
        let told = std::mem::replace(failed, read.is_err());
        match read.and_then(|keys| ring(&keys, self.0.ring.load().as_deref(), Timestamp::now())) {
            Ok(ring) => self.0.ring.store(Some(Arc::new(ring))),
            Err(error) if !told => {
                tracing::warn!(error = chain(&error), "the signing keys can't be read; trying again");
            }
            Err(_) => {}
        }
    }
}

impl TokenKeys for SigningKeys {
    fn known(&self) -> Option<KeySet> {
        self.0.ring.load().as_ref().map(|ring| ring.verifying.clone())
    }

    /// Another replica may have made a key since the last look.
    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.read(LOOK_EVERY))
    }
}

/// The keys in use, the newest first.
async fn read_or_make(
    database: &Database,
    changes: &Changes,
    now: Timestamp,
) -> Result<Vec<signing_keys::Model>, KeysError> {
    let known = within_deadline(signing_keys::in_use(database.read())).await?;
    if !known.is_empty() {
        return Ok(known);
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
    Ok(known)
}

fn make(now: Timestamp) -> Result<signing_keys::Model, UnusableKey> {
    let pair = KeyPair::random();
    Ok(signing_keys::Model {
        id: pair.id()?,
        public_key: pair.public().to_vec(),
        private_key: pair.written()?,
        created_at: now,
        retired_at: None,
    })
}

/// Makes the ring of keys, the newest first; what `before` knew of tokens stays known while the keys are the same.
fn ring(keys: &[signing_keys::Model], before: Option<&Ring>, now: Timestamp) -> Result<Ring, KeysError> {
    let signing = signing_key(keys, now).ok_or(UnusableKey)?;
    let public = keys.iter().map(|key| {
        let x = BASE64_URL_SAFE_NO_PAD.encode(&key.public_key);
        Jwk::ed25519(key.id.clone(), x)
    });
    let set = Jwks { keys: public.collect() };
    Ok(Ring {
        key_id: signing.id.clone(),
        signing: KeyPair::read(&signing.private_key)?.signing()?,
        jwks: serde_json::to_vec(&set).map_err(|_| UnusableKey)?.into(),
        verifying: before.map_or_else(|| KeySet::new(&set), |ring| ring.verifying.renewed(&set)),
    })
}

/// The newest that was published for long enough. Where there is none it is the oldest, which all replicas know for longest.
fn signing_key(newest_first: &[signing_keys::Model], now: Timestamp) -> Option<&signing_keys::Model> {
    let is_known = |key: &&signing_keys::Model| key.created_at + PUBLISHED_BEFORE <= now;
    newest_first.iter().find(is_known).or(newest_first.last())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;

    use super::*;

    #[test]
    fn a_made_key_s_public_half_verifies_what_it_signs() {
        let key = make(Timestamp::now()).unwrap();
        let ring = ring(&[key], None, Timestamp::now()).unwrap();
        let signature = jsonwebtoken::crypto::sign(b"text", &ring.signing, Algorithm::EdDSA).unwrap();
        let set: Jwks = serde_json::from_slice(&ring.jwks).unwrap();
        let public = jsonwebtoken::DecodingKey::from_ed_components(&set.keys[0].x).unwrap();
        assert!(jsonwebtoken::crypto::verify(&signature, b"text", &public, Algorithm::EdDSA).unwrap());
    }

    #[test]
    fn a_new_key_is_published_before_it_signs() {
        let minutes = |minutes| Timestamp::from_micros(0) + Duration::from_mins(minutes);
        let (old, new) = (make(minutes(0)).unwrap(), make(minutes(60)).unwrap());
        let keys = [new.clone(), old.clone()];
        for (at, signs) in [(60, &old), (69, &old), (70, &new), (90, &new)] {
            let ring = ring(&keys, None, minutes(at)).unwrap();
            assert_eq!((&ring.key_id, ring.verifying.is_empty()), (&signs.id, false), "{at}");
            let set: Jwks = serde_json::from_slice(&ring.jwks).unwrap();
            assert_eq!(set.keys.len(), 2);
        }
        // A system that begins has one alone.
        assert_eq!(
            ring(std::slice::from_ref(&new), None, minutes(60)).unwrap().key_id,
            new.id
        );
    }
}
