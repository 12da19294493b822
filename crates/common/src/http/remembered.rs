//! Tokens that were verified before.

use std::collections::HashMap;
use std::sync::Arc;

use super::claims::Claims;
use parking_lot::RwLock;

/// Tokens of one generation; two are kept. A token has some 350 bytes, so both hold a few megabytes.
const GENERATION: usize = 4096;

/// Tokens whose signature was found good, with what they say.
///
/// Why: checking an Ed25519 signature takes longer than all the rest of a read. What a token says never
/// changes, so it is checked once; its time is compared by the caller every time. Only good tokens get
/// in, by their whole text, so nobody can fill this or pass by it. The oldest are forgotten: when the
/// young generation is full it becomes the old one, and what is still used moves over.
#[derive(Default)]
pub(super) struct Remembered(RwLock<Generations>);

/// A fast hash: nobody chooses what is kept here, since only a good token is.
type Tokens = HashMap<Box<str>, Arc<Claims>, foldhash::fast::RandomState>;

#[derive(Default)]
struct Generations {
    young: Tokens,
    old: Tokens,
}

impl Remembered {
    /// What `token` says, when its signature was found good before.
    pub(super) fn get(&self, token: &str) -> Option<Arc<Claims>> {
        let held = self.0.read();
        if let Some(claims) = held.young.get(token) {
            return Some(Arc::clone(claims));
        }
        let claims = Arc::clone(held.old.get(token)?);
        drop(held);
        self.keep(token, Arc::clone(&claims));
        Some(claims)
    }

    /// Remembers a token whose signature was found good.
    pub(super) fn keep(&self, token: &str, claims: Arc<Claims>) {
        let mut held = self.0.write();
        if held.young.len() >= GENERATION {
            held.old = std::mem::take(&mut held.young);
        }
        held.young.insert(token.into(), claims);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::Timestamp;

    fn claims(exp: i64) -> Arc<Claims> {
        Arc::new(Claims::new(
            Uuid::nil(),
            Timestamp::from_micros(0),
            Timestamp::from_micros(exp * 1_000_000),
        ))
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let remembered = Remembered::default();
        remembered.keep("used", claims(1));
        remembered.keep("unused", claims(2));
        for n in 0..3 * GENERATION {
            remembered.keep(&format!("other {n}"), claims(3));
            assert_eq!(remembered.get("used"), Some(claims(1)));
        }
        assert_eq!(remembered.get("unused"), None);
        let held = remembered.0.read();
        assert!(held.young.len() <= GENERATION && held.old.len() <= GENERATION);
    }
}
