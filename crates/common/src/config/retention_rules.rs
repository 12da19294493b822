//! What must hold between the times for which rows are kept and those in which a message may come back.

use std::time::Duration;

use contracts::topology::UNROUTED_FOR;

use super::retention::Retention;
use super::review::Review;
use super::settings::{Broker, Settings};

/// Longest that rows may be kept: more is a mistake in the number.
const LONGEST_KEPT: Duration = Duration::from_hours(100 * 365 * 24);

impl Settings {
    pub(super) fn review_retention(&self, review: &mut Review) {
        let kept = &self.retention;
        if kept.every.is_zero() {
            review.refuse("retention.every_s", "must be at least 1");
        }
        for (key, span) in kept.spans() {
            if !(Retention::SHORTEST..=LONGEST_KEPT).contains(&span) {
                review.refuse(key, "must be from a day (86400) to 100 years (3153600000)");
            }
        }
        let returns = self.broker.longest_return();
        if kept.inbox < returns {
            let problem = format!(
                "must be at least {}: all of broker.retry_delays_ms, broker.handler_timeout_ms for each try, and the 7 days \
                 that an event may lie unrouted; a message that came back later would be taken for a new one",
                returns.as_secs()
            );
            review.refuse("retention.inbox_s", &problem);
        }
        for (key, span) in [
            ("retention.deliveries_s", kept.deliveries),
            ("retention.notifications_s", kept.notifications),
        ] {
            if span < kept.inbox {
                let problem =
                    "must be at least retention.inbox_s: such a row keeps an event from having its effect twice";
                review.refuse(key, problem);
            }
        }
        if kept.delivery_attempts < self.dispatch.give_up_after || kept.delivery_attempts > kept.deliveries {
            review.refuse(
                "retention.delivery_attempts_s",
                "must be from dispatch.give_up_after_s to retention.deliveries_s",
            );
        }
    }
}

impl Broker {
    /// How long after a message was taken in it may come again by itself, at the latest: through every delay queue, with
    /// all of its time at each try, and from among the unrouted, where a copy may lie.
    ///
    /// Not what waits for a process that is away: a queue keeps that as long as it takes.
    pub fn longest_return(&self) -> Duration {
        let add = Duration::saturating_add;
        let waits = self.retry_delays.iter().copied().fold(Duration::ZERO, add);
        let tries = u32::try_from(self.retry_delays.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        add(add(waits, self.handler_timeout.saturating_mul(tries)), UNROUTED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Service;

    #[test]
    fn the_inbox_remembers_as_long_as_any_message_may_come_back_and_no_second_less() {
        let settings = Settings::for_tests(Service::UserApi);
        // 10 s, 1 min, 10 min, 1 h between five tries of 20 s, and a week among the unrouted.
        let least = 10 + 60 + 600 + 3_600 + 5 * 20 + 7 * 86_400;
        assert_eq!(settings.broker.longest_return().as_secs(), least);
        for (seconds, is_enough) in [(least, true), (least - 1, false)] {
            let vars = vec![("WAYPOST__RETENTION__INBOX_S".to_owned(), seconds.to_string())];
            let loaded = Settings::load_shared_from(Service::UserApi, None, vars);
            assert_eq!(loaded.is_ok(), is_enough, "{seconds}");
        }
    }

    #[test]
    fn a_time_that_breaks_a_rule_is_named() {
        for (key, value, named) in [
            ("WAYPOST__RETENTION__EVERY_S", "0", "retention.every_s"),
            (
                "WAYPOST__RETENTION__OPERATIONS_AUDIT_S",
                "86399",
                "retention.operations_audit_s",
            ),
            (
                "WAYPOST__RETENTION__OPERATIONS_AUDIT_S",
                "3153600001",
                "retention.operations_audit_s",
            ),
            ("WAYPOST__RETENTION__INBOX_S", "604800", "retention.inbox_s"),
            ("WAYPOST__RETENTION__DELIVERIES_S", "2591999", "retention.deliveries_s"),
            (
                "WAYPOST__RETENTION__NOTIFICATIONS_S",
                "2591999",
                "retention.notifications_s",
            ),
            (
                "WAYPOST__RETENTION__DELIVERY_ATTEMPTS_S",
                "259199",
                "retention.delivery_attempts_s",
            ),
            (
                "WAYPOST__RETENTION__DELIVERY_ATTEMPTS_S",
                "7776001",
                "retention.delivery_attempts_s",
            ),
            // A longer ladder asks for a longer memory.
            ("WAYPOST__BROKER__RETRY_DELAYS_MS", "2592000000", "retention.inbox_s"),
        ] {
            let vars = vec![(key.to_owned(), value.to_owned())];
            let refused = Settings::load_shared_from(Service::UserApi, None, vars).unwrap_err();
            assert!(refused.to_string().contains(&format!("`{named}`")), "{refused}");
        }
    }
}
