//! Hashing and checking passwords: argon2id, on a bounded pool off the async threads.
//!
//! On purpose, a hash takes tens of milliseconds of one core and some 19 MiB. So no more run at a time than there
//! are cores, some more wait in a queue, and who finds the queue full is told at once to come again.
//!
//! How long a refusal takes must not tell who has an account. After a change of the settings, the stored hashes have several
//! costs, and each log-in that succeeds replaces one hash. So every refusal does the work of all known costs together.

use std::sync::Arc;

use argon2::password_hash;
use common::{resilience::Bulkhead, telemetry::Metrics};
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use tracing::Instrument;

use crate::{
    argon2id::{Argon2id, HashCost},
    hashing_threads::HashingThreads,
    profile::{MOST_CHARACTERS, opaque},
    settings::Argon2 as Cost,
};

/// How many hashes may wait for each one that runs: some two seconds of waiting, with the parameters that are built in.
const QUEUE_PER_SLOT: usize = 96;
/// Most costs that are known at a time, the settings' own included. Settings change seldom.
const MOST_COSTS: usize = 4;

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordsError {
    #[error("too many passwords are being hashed")]
    Busy,
    #[error("a password could not be hashed")]
    Failed(#[from] password_hash::Error),
    #[error("hashing a password panicked")]
    Panicked,
}

/// What became of a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is another password, or there is no hash.
    Other,
    /// It is the password of the hash.
    Fits {
        /// Its hash at today's cost, when the stored one is to be replaced by it.
        renewed: Option<String>,
    },
}

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    hashing: Arc<Hashing>,
    /// Places of those that run or wait for a thread.
    places: Bulkhead,
    threads: HashingThreads,
}

/// What the threads work with.
struct Hashing {
    argon2id: Argon2id,
    /// The settings' own cost, then others that stored hashes have.
    costs: RwLock<Vec<HashCost>>,
}

impl Passwords {
    pub(crate) fn new(settings: &Cost) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::with_slots(settings, cores, cores * QUEUE_PER_SLOT)
    }

    fn with_slots(settings: &Cost, slots: usize, queue: usize) -> anyhow::Result<Self> {
        let refused = |error: &dyn std::fmt::Display| anyhow::anyhow!("accounts.argon2: {error}");
        let argon2id = Argon2id::new(settings).map_err(|error| refused(&error))?;
        let cost = argon2id.cost();
        // A cost that can't be worked is found out now, and not by the first person who signs up.
        argon2id.work_off(&cost, b"nobody").map_err(|error| refused(&error))?;
        Ok(Self {
            hashing: Arc::new(Hashing {
                argon2id,
                costs: RwLock::new(vec![cost]),
            }),
            places: Bulkhead::new(slots + queue),
            threads: HashingThreads::start(slots)?,
        })
    }

    /// From now on every refusal also takes the time of a hash with this one's cost. Passed over are a hash that can't be
    /// read, a cost far beyond the settings' own, and any cost after the first [`MOST_COSTS`].
    pub(crate) fn expect_cost_of(&self, hash: &str) {
        if let Ok(cost) = HashCost::of(hash) {
            self.hashing.expect(cost);
        }
    }

    /// Shows in `metrics` how many are hashed or wait (`waypost_bulkhead_places`).
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        self.places.show_in(metrics, "hashing");
    }

    /// Hashes a new password, with a salt of its own, to a PHC string.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, PasswordsError> {
        self.run(move |hashing| hashing.argon2id.hash(password.expose_secret().as_bytes()))
            .await
    }

    /// Checks a password, as it was typed, against a hash; with none, takes as long and says no.
    pub(crate) async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<Verdict, PasswordsError> {
        // No stored password is longer than this. A longer one is hashed as it came, and costs what any wrong one does.
        let is_possible = password.expose_secret().chars().nth(MOST_CHARACTERS).is_none();
        let compared = if is_possible {
            SecretString::from(opaque(password.expose_secret()))
        } else {
            password.clone()
        };
        self.run(move |hashing| hashing.verify(&[compared, password], hash.as_deref()))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hashing) -> password_hash::Result<T> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let place = self.places.enter().ok_or(PasswordsError::Busy)?;
        let hashing = Arc::clone(&self.hashing);
        // A caller who goes away frees its place only when the work is over: the pool's bound holds.
        let work = self.threads.run(place, move || work(&hashing));
        let span = tracing::info_span!("argon2id");
        Ok(work.instrument(span).await.ok_or(PasswordsError::Panicked)??)
    }
}

impl Hashing {
    /// Checks a password in the form in which passwords are compared, then as it was typed: the older hashes were made of
    /// what was typed.
    fn verify(&self, [compared, typed]: &[SecretString; 2], hash: Option<&str>) -> password_hash::Result<Verdict> {
        let own = hash.and_then(|hash| {
            let cost = HashCost::of(hash);
            cost.inspect_err(|error| tracing::error!(%error, "a stored hash can't be read: its account can't log in"))
                .ok()
        });
        let hash = hash.filter(|_| own.is_some());
        if let Some(cost) = &own {
            self.expect(cost.clone());
        }
        let forms = if compared.expose_secret() == typed.expose_secret() {
            &[compared][..]
        } else {
            &[compared, typed][..]
        };
        for form in forms {
            let password = form.expose_secret().as_bytes();
            if hash.map_or(Ok(false), |hash| self.argon2id.verify(password, hash))? {
                let is_renewed = own != Some(self.argon2id.cost()) || !std::ptr::eq(*form, compared);
                let renewed = is_renewed.then(|| self.argon2id.hash(compared.expose_secret().as_bytes()));
                return Ok(Verdict::Fits {
                    renewed: renewed.transpose()?,
                });
            }
            for cost in self.costs().iter().filter(|cost| own.as_ref() != Some(cost)) {
                self.argon2id.work_off(cost, password)?;
            }
        }
        Ok(Verdict::Other)
    }

    fn expect(&self, cost: HashCost) {
        let known = self.costs();
        if known.contains(&cost) || cost.is_beyond(&known[0]) {
            return;
        }
        let mut costs = self.costs.write();
        if !costs.contains(&cost) && costs.len() < MOST_COSTS {
            tracing::info!(
                ?cost,
                "stored passwords have another cost than accounts.argon2; each log-in renews one"
            );
            costs.push(cost);
        }
    }

    fn costs(&self) -> Vec<HashCost> {
        self.costs.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Cost {
        Cost {
            memory_kib: 8,
            iterations: 1,
            parallelism: 1,
        }
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new(&cheap()).unwrap();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let fits = async |password: &str, hash: Option<&String>| {
            passwords.verify(password.into(), hash.cloned()).await.unwrap() == Verdict::Fits { renewed: None }
        };
        assert!(fits("correct horse", Some(&hash)).await);
        assert!(!fits("Correct horse", Some(&hash)).await);
        assert!(!fits("correct horse", None).await);
    }

    #[tokio::test]
    async fn a_password_is_the_same_whatever_keyboard_it_was_typed_on() {
        let passwords = Passwords::new(&cheap()).unwrap();
        let before = passwords.hash("stro\u{308}m\u{a0}lein".into()).await.unwrap();
        let now = passwords.hash(opaque("stro\u{308}m\u{a0}lein").into()).await.unwrap();
        let verify =
            async |password: &str, hash: &String| passwords.verify(password.into(), Some(hash.clone())).await.unwrap();
        for typed in ["stro\u{308}m\u{a0}lein", "str\u{f6}m lein"] {
            assert_eq!(verify(typed, &now).await, Verdict::Fits { renewed: None }, "{typed}");
        }
        let Verdict::Fits { renewed: Some(renewed) } = verify("stro\u{308}m\u{a0}lein", &before).await else {
            panic!("a hash of the form that was typed is refused, or kept")
        };
        assert_eq!(
            verify("str\u{f6}m lein", &renewed).await,
            Verdict::Fits { renewed: None }
        );
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_renewed_and_every_refusal_costs_as_much_until_then() {
        let old = Passwords::new(&cheap())
            .unwrap()
            .hash("correct horse".into())
            .await
            .unwrap();
        let dearer = Cost {
            iterations: 2,
            ..cheap()
        };
        let passwords = Passwords::new(&dearer).unwrap();
        passwords.expect_cost_of("no hash");
        passwords.expect_cost_of(&old.replace("t=1", "t=1000000"));
        assert_eq!(passwords.hashing.costs().len(), 1);
        passwords.expect_cost_of(&old);
        assert_eq!(passwords.hashing.costs().len(), 2);
        let verify = async |password: &str| passwords.verify(password.into(), Some(old.clone())).await.unwrap();
        assert_eq!(verify("wrong horse").await, Verdict::Other);
        let Verdict::Fits { renewed: Some(renewed) } = verify("correct horse").await else {
            panic!("the old hash is refused, or kept")
        };
        assert!(renewed.starts_with("$argon2id$v=19$m=8,t=2,p=1$"), "{renewed}");
        assert_eq!(passwords.hashing.costs().len(), 2);
        let unreadable = passwords
            .verify("correct horse".into(), Some("$2b$12$bcrypt".to_owned()))
            .await;
        assert_eq!(unreadable.unwrap(), Verdict::Other);
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let passwords = Passwords::new(&cheap()).unwrap();
        let first = passwords.hash("correct horse".into()).await.unwrap();
        let second = passwords.hash("correct horse".into()).await.unwrap();
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_turned_away_at_once() {
        let passwords = Passwords::with_slots(&cheap(), 1, 1).unwrap();
        let (open, closed) = std::sync::mpsc::channel::<()>();
        // The one thread is busy until it is let go.
        let mut busy = Box::pin(passwords.threads.run((), move || closed.recv()));
        assert!(futures_util::poll!(&mut busy).is_pending());
        let mut waiting = Box::pin(passwords.hash("correct horse".into()));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let mut second = Box::pin(passwords.hash("correct horse".into()));
        assert!(futures_util::poll!(&mut second).is_pending());
        let third = passwords.hash("correct horse".into()).await;
        assert!(matches!(third, Err(PasswordsError::Busy)));
        drop(open);
        drop(busy);
        assert!(waiting.await.is_ok());
        assert!(second.await.is_ok());
    }
}
