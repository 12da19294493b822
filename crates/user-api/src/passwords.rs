//! Hashing and checking passwords: argon2id, on a bounded pool off the async threads.
//!
//! A hash takes tens of milliseconds of one core and some 19 MiB on purpose. So no more run at a time
//! than there are cores, a short queue waits, and who comes after that is told to come again.

use std::sync::Arc;

use argon2::password_hash;
use common::{config::Argon2 as Cost, resilience::Bulkhead, telemetry::Metrics};
use secrecy::{ExposeSecret, SecretString};
use tracing::Instrument;

use crate::{argon2id::Argon2id, hashing_threads::HashingThreads};

/// How many may wait for each one that runs: some two seconds of waiting, with the parameters that are built in.
const QUEUE_PER_SLOT: usize = 96;

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

/// The pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    argon2id: Arc<Argon2id>,
    /// Places of those that run or wait for a thread.
    places: Bulkhead,
    threads: HashingThreads,
    /// Verified when there is no account, so that its absence takes as long as a wrong password.
    nobody: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(settings: &Cost) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::with_slots(settings, cores, cores * QUEUE_PER_SLOT)
    }

    fn with_slots(settings: &Cost, slots: usize, queue: usize) -> anyhow::Result<Self> {
        let refused = |error: &dyn std::fmt::Display| anyhow::anyhow!("accounts.argon2: {error}");
        let argon2id = Argon2id::new(settings).map_err(|error| refused(&error))?;
        let nobody = argon2id
            .hash(b"nobody has this password")
            .map_err(|error| refused(&error))?;
        Ok(Self {
            argon2id: Arc::new(argon2id),
            places: Bulkhead::new(slots + queue),
            threads: HashingThreads::start(slots)?,
            nobody: nobody.into(),
        })
    }

    /// Shows in `metrics` how many are hashed or wait (`waypost_bulkhead_places`).
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        self.places.show_in(metrics, "hashing");
    }

    /// Hashes a new password, with a salt of its own, to a PHC string.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, PasswordsError> {
        self.run(move |argon2id| argon2id.hash(password.expose_secret().as_bytes()))
            .await
    }

    /// Checks a password against a hash; with none, takes as long and says no.
    pub(crate) async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, PasswordsError> {
        let nobody = Arc::clone(&self.nobody);
        self.run(move |argon2id| {
            let fits = argon2id.verify(password.expose_secret().as_bytes(), hash.as_deref().unwrap_or(&nobody));
            Ok(fits? && hash.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2id) -> password_hash::Result<T> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let place = self.places.enter().ok_or(PasswordsError::Busy)?;
        let argon2id = Arc::clone(&self.argon2id);
        // A caller who goes away frees its place only when the work is over: the pool's bound holds.
        let work = self.threads.run(place, move || work(&argon2id));
        let span = tracing::info_span!("argon2id");
        Ok(work.instrument(span).await.ok_or(PasswordsError::Panicked)??)
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
            passwords.verify(password.into(), hash.cloned()).await.unwrap()
        };
        assert!(fits("correct horse", Some(&hash)).await);
        assert!(!fits("Correct horse", Some(&hash)).await);
        assert!(!fits("nobody has this password", None).await);
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
