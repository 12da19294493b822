//! Checks the tokens of callers, by keys that this service has or fetches.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::claims::{Claims, TokenError};
use super::keys::KeySet;
use crate::Timestamp;

/// Where the keys come from that tokens are verified with.
pub trait TokenKeys: Send + Sync + 'static {
    /// The keys that are known now; `None` while there are none.
    fn known(&self) -> Option<KeySet>;

    /// Looks for newer keys, because a token names one that is not known. Anybody can make such a token up:
    /// an implementation looks rarely, and all who wait share one look, which has a deadline.
    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Verifies tokens. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<dyn TokenKeys>);

impl Verifier {
    /// Verifies by the keys of `source`.
    pub fn new(source: Arc<dyn TokenKeys>) -> Self {
        Self(source)
    }

    /// What is known of a token without any work, because its signature was found good before.
    pub(super) fn remembered(&self, token: &str, now: Timestamp) -> Option<Result<Arc<Claims>, TokenError>> {
        self.0.known()?.remembered(token, now)
    }

    /// Verifies by the keys that are known now.
    ///
    /// # Errors
    /// [`TokenError`], by what does not hold.
    pub fn verify_now(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
        self.0.known().ok_or(TokenError::NoKeys)?.verify(token, now)
    }

    /// Verifies after a look for newer keys, and waits for that.
    ///
    /// # Errors
    /// [`TokenError`], by what does not hold.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
        self.0.look().await;
        self.verify_now(token, now)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Verifier").field(&self.0.known()).finish()
    }
}
