//! What is known of why a PostgreSQL server takes no connection. Each question is one more connection, of which the
//! server may have none: it is asked seldom, however many look.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a finding is kept; no other question begins before. Whoever asks gives up sooner, so there is one at a time.
const KEPT: Duration = Duration::from_secs(5);

/// What was found last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    begun: Option<Instant>,
    cure: Option<&'static str>,
}

impl Refusals {
    /// What `question` answers, or what the one before it did. Nothing while that goes on, or when it was broken off.
    pub(super) async fn cure(
        &self,
        question: impl Future<Output = Option<&'static str>>,
        now: Instant,
    ) -> Option<&'static str> {
        if !self.begin(now) {
            return self.0.lock().cure;
        }
        let cure = question.await;
        self.0.lock().cure = cure;
        cure
    }

    /// Whether it is time for a question.
    fn begin(&self, now: Instant) -> bool {
        let mut kept = self.0.lock();
        let is_kept = kept
            .begun
            .is_some_and(|begun| now.saturating_duration_since(begun) < KEPT);
        if is_kept {
            return false;
        }
        *kept = Kept {
            begun: Some(now),
            cure: None,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_question_is_asked_once_in_a_while_and_its_finding_kept_until_the_next() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let asked = refusals.clone();
        assert_eq!(asked.cure(ready(Some("raise it")), now).await, Some("raise it"));
        let before_it_is_time = now + KEPT.mul_f32(0.9);
        assert_eq!(refusals.cure(pending(), before_it_is_time).await, Some("raise it"));
        assert_eq!(refusals.cure(ready(None), now + KEPT).await, None);
        assert_eq!(refusals.cure(pending(), now + KEPT).await, None);
    }

    #[tokio::test]
    async fn a_question_that_is_broken_off_leaves_no_finding_and_is_not_begun_anew_at_once() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.cure(ready(Some("raise it")), now).await, Some("raise it"));
        assert!(refusals.cure(pending(), now + KEPT).now_or_never().is_none());
        assert_eq!(refusals.cure(pending(), now + KEPT).await, None);
        let found = refusals.cure(ready(Some("lower it")), now + 2 * KEPT).await;
        assert_eq!(found, Some("lower it"));
    }
}
