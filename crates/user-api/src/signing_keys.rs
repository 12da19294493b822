//! The keys that sign access tokens, and the set that the world verifies them with.
//!
//! They live in the database, so that all replicas share them; the first process to find none makes
//! one, under a lock. They are read in the background: a database that is away delays log-ins, never
//! the start.
//!
//! They are read again and again, so that a key that was retired in the table is used by nobody any more, and a new one is
//! published by all replicas before any of them signs with it. A key that can't be used is logged and passed over: the
//! other keys are published and retired as if it were not there.

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
/// How often they are read again. A retired key may still be used for this long.
const REREAD_EVERY: Duration = Duration::from_secs(30);
/// A token with an unknown key has the keys read at once, but no more often than this: anybody can make such a token up.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a new key is published before it signs: whoever verifies keeps the published ones for five minutes.
const PUBLISHED_BEFORE: Duration = Duration::from_mins(10);

/// Length of an Ed25519 public key.
const PUBLIC_KEY_BYTES: usize = 32;

/// Why keys could not be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("the signing keys could not be read from the database")]
    Database(#[from] DbErr),
    #[error(transparent)]
    Unusable(#[from] UnusableKey),
}

/// There are no keys for what is asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoKeys {
    #[error("the signing keys have not been read from the database yet")]
    NotRead,
    #[error("none of the signing keys in the database can be used")]
    NoneSigns,
}

/// All keys in use.
pub(crate) struct Ring {
    /// The key that signs; none where none of them can be used.
    signer: Option<Signer>,
    /// Every key that verifies.
    pub(crate) verifying: KeySet,
    /// The public keys as JSON (RFC 7517).
    pub(crate) jwks: Bytes,
    /// Ids of those that can't be used.
    unusable: Vec<String>,
}

/// A key that signs.
pub(crate) struct Signer {
    pub(crate) key_id: String,
    pub(crate) key: EncodingKey,
}

impl Ring {
    /// The key that signs.
    pub(crate) fn signer(&self) -> Result<&Signer, NoKeys> {
        self.signer.as_ref().ok_or(NoKeys::NoneSigns)
    }
}

/// What is wrong with the keys, as it was told last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    NotRead,
    /// Ids of keys.
    Unusable(Vec<String>),
}

/// The ring, once it is there. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SigningKeys(Arc<Kept>);

struct Kept {
    database: Database,
    changes: Changes,
    ring: ArcSwapOption<Ring>,
    /// Held while reading, so that all who wait share one look: when the last one was, and what was wrong.
    reading: tokio::sync::Mutex<(Option<Instant>, Option<Trouble>)>,
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
        self.0.ring.load_full().ok_or(NoKeys::NotRead)
    }

    /// Reads the keys, unless somebody did within `at_least`. When that fails, the known keys stay.
    async fn read(&self, at_least: Duration) {
        let mut reading = self.0.reading.lock().await;
        let (last, told) = &mut *reading;
        if last.is_some_and(|at| at.elapsed() < at_least) {
            return;
        }
        let now = Timestamp::now();
        let keys = read_or_make(&self.0.database, &self.0.changes, now).await;
        *last = Some(Instant::now());
        let read = keys.map(|keys| ring(&keys, self.0.ring.load().as_deref(), now));
        let trouble = trouble(&read);
        if trouble != *told {
            tell(&read);
        }
        *told = trouble;
        if let Ok(ring) = read {
            self.0.ring.store(Some(Arc::new(ring)));
        }
    }
}

fn trouble(read: &Result<Ring, KeysError>) -> Option<Trouble> {
    match read {
        Err(_) => Some(Trouble::NotRead),
        Ok(ring) if ring.unusable.is_empty() => None,
        Ok(ring) => Some(Trouble::Unusable(ring.unusable.clone())),
    }
}

/// Says what is wrong, if anything is.
fn tell(read: &Result<Ring, KeysError>) {
    match read {
        Err(error) => tracing::warn!(error = chain(error), "the signing keys can't be read; trying again"),
        Ok(ring) if ring.unusable.is_empty() => {}
        Ok(ring) => tracing::error!(
            key_ids = ring.unusable.join(" "),
            signs = ring.signer.as_ref().map(|signer| signer.key_id.as_str()),
            "there are signing keys that can't be used; retire them"
        ),
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
fn ring(newest_first: &[signing_keys::Model], before: Option<&Ring>, now: Timestamp) -> Ring {
    let public = newest_first
        .iter()
        .filter(|key| is_public_key(&key.public_key))
        .map(|key| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(&key.public_key);
            Jwk::ed25519(key.id.clone(), x)
        });
    let set = Jwks { keys: public.collect() };
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for key in newest_first {
        match signer(key) {
            Ok(signer) => usable.push((key.created_at, signer)),
            Err(UnusableKey) => unusable.push(key.id.clone()),
        }
    }
    Ring {
        signer: choose(usable, now),
        // The document holds strings alone, which can always be written as JSON.
        jwks: serde_json::to_vec(&set).unwrap_or_default().into(),
        verifying: before.map_or_else(|| KeySet::new(&set), |ring| ring.verifying.renewed(&set)),
        unusable,
    }
}

fn is_public_key(bytes: &[u8]) -> bool {
    bytes.len() == PUBLIC_KEY_BYTES
}

/// The signer of a key, if its private and its public half belong together.
fn signer(key: &signing_keys::Model) -> Result<Signer, UnusableKey> {
    let pair = KeyPair::read(&key.private_key)?;
    if pair.public()[..] != key.public_key[..] {
        return Err(UnusableKey);
    }
    Ok(Signer {
        key_id: key.id.clone(),
        key: pair.signing()?,
    })
}

/// The newest key that was published for long enough; if there is none, the oldest, which all replicas know for longest.
fn choose(newest_first: Vec<(Timestamp, Signer)>, now: Timestamp) -> Option<Signer> {
    let is_known = |(created_at, _): &(Timestamp, Signer)| *created_at + PUBLISHED_BEFORE <= now;
    let known = newest_first.iter().position(is_known);
    let place = known.or(newest_first.len().checked_sub(1))?;
    newest_first.into_iter().nth(place).map(|(_, signer)| signer)
}

#[cfg(test)]
mod tests {
    use common::http::claims::{Claims, TokenError};
    use jsonwebtoken::{Algorithm, Header};
    use uuid::Uuid;

    use super::*;

    fn signer_id(ring: &Ring) -> Option<&str> {
        ring.signer.as_ref().map(|signer| signer.key_id.as_str())
    }

    fn published(ring: &Ring) -> Vec<String> {
        let set: Jwks = serde_json::from_slice(&ring.jwks).unwrap();
        set.keys.into_iter().map(|key| key.kid).collect()
    }

    fn signed(ring: &Ring, now: Timestamp) -> String {
        let signer = ring.signer().unwrap();
        let header = Header {
            kid: Some(signer.key_id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let claims = Claims::new(Uuid::nil(), now, now + Duration::from_mins(1));
        jsonwebtoken::encode(&header, &claims, &signer.key).unwrap()
    }

    #[test]
    fn a_made_key_s_public_half_verifies_what_it_signs() {
        let key = make(Timestamp::now()).unwrap();
        let ring = ring(&[key], None, Timestamp::now());
        let signer = ring.signer().unwrap();
        let signature = jsonwebtoken::crypto::sign(b"text", &signer.key, Algorithm::EdDSA).unwrap();
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
            let ring = ring(&keys, None, minutes(at));
            assert_eq!(
                (signer_id(&ring), ring.verifying.is_empty()),
                (Some(&*signs.id), false),
                "{at}"
            );
            assert_eq!(published(&ring), [&*new.id, &*old.id]);
        }
        // A system that begins has one alone.
        let alone = ring(std::slice::from_ref(&new), None, minutes(60));
        assert_eq!(signer_id(&alone), Some(&*new.id));
    }

    #[test]
    fn a_damaged_key_keeps_no_other_from_signing_or_from_being_retired() {
        let now = Timestamp::now();
        let older = make(now - Duration::from_hours(2)).unwrap();
        let retired = make(now - Duration::from_hours(1)).unwrap();
        let before = ring(&[retired.clone(), older.clone()], None, now);
        let token = signed(&before, now);
        assert_eq!(signer_id(&before), Some(&*retired.id));
        assert!(before.verifying.verify(&token, now).is_ok());

        let whole = make(now - Duration::from_mins(30)).unwrap();
        let other = make(now).unwrap();
        for private_key in [vec![7; 48], Vec::new(), other.private_key] {
            let damaged = signing_keys::Model {
                private_key,
                ..whole.clone()
            };
            let after = ring(&[damaged.clone(), older.clone()], Some(&before), now);
            assert_eq!(signer_id(&after), Some(&*older.id));
            assert!(after.verifying.verify(&signed(&after, now), now).is_ok());
            // What the damaged one signed before is good until it is retired itself.
            assert_eq!(published(&after), [&*damaged.id, &*older.id]);
            let of_retired = after.verifying.verify(&token, now);
            assert!(matches!(of_retired, Err(TokenError::UnknownKey)), "{of_retired:?}");
            assert_eq!(after.unusable, [&*damaged.id]);
            let alone = ring(std::slice::from_ref(&damaged), Some(&after), now);
            assert!(matches!(alone.signer(), Err(NoKeys::NoneSigns)));
            assert_eq!(published(&alone), [&*damaged.id]);
        }
        let public_key = whole.public_key[1..].to_vec();
        let damaged = signing_keys::Model { public_key, ..whole };
        let after = ring(&[damaged, older.clone()], Some(&before), now);
        assert_eq!(
            (signer_id(&after), published(&after)),
            (Some(&*older.id), vec![older.id.clone()])
        );
    }

    #[test]
    fn trouble_is_other_trouble_when_other_keys_are_damaged() {
        let now = Timestamp::now();
        let damaged = || signing_keys::Model {
            private_key: Vec::new(),
            ..make(now).unwrap()
        };
        let of = |keys: &[signing_keys::Model]| trouble(&Ok(ring(keys, None, now)));
        let (one, other) = (damaged(), damaged());
        assert_eq!(of(&[make(now).unwrap()]), None);
        assert_eq!(
            of(std::slice::from_ref(&one)),
            Some(Trouble::Unusable(vec![one.id.clone()]))
        );
        assert_ne!(of(std::slice::from_ref(&one)), of(&[one.clone(), other]));
        assert_eq!(trouble(&Err(UnusableKey.into())), Some(Trouble::NotRead));
    }
}
