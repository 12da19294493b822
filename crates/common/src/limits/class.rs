//! The classes of requests, each with a limit of its own.

use crate::config::{Profile, RateLimit, RateLimits};

/// On a developer's machine everything comes from one source: it may do so many times as much.
const DEVELOPMENT: u32 = 20;

/// The class of rate limit that an operation counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reads of a person.
    Read,
    /// Changes of a person.
    Write,
    /// Log-ins of a source.
    Login,
    /// Sign-ups of a source.
    SignUp,
    /// What sends mail, of a source.
    Mail,
    /// Documents for everybody, of a source.
    Public,
    /// What providers tell of messages, of a source.
    Callback,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Login,
        Self::SignUp,
        Self::Mail,
        Self::Public,
        Self::Callback,
    ];

    /// Its name in settings, headers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Login => "login",
            Self::SignUp => "sign_up",
            Self::Mail => "mail",
            Self::Public => "public",
            Self::Callback => "callback",
        }
    }

    /// Whether it counts a person, and not a source.
    pub const fn counts_people(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }

    /// Its limit as it is set; in development, that of a source is [`DEVELOPMENT`] times as much.
    pub(super) fn limit(self, limits: &RateLimits, profile: Profile) -> RateLimit {
        let limit = match self {
            Self::Read => limits.read,
            Self::Write => limits.write,
            Self::Login => limits.login,
            Self::SignUp => limits.sign_up,
            Self::Mail => limits.mail,
            Self::Public => limits.public,
            Self::Callback => limits.callback,
        };
        if self.counts_people() || profile != Profile::Development {
            return limit;
        }
        RateLimit {
            rate: limit.rate * f64::from(DEVELOPMENT),
            burst: limit.burst * DEVELOPMENT,
            ..limit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algorithm;

    #[test]
    fn in_development_alone_a_source_has_twenty_times_as_much_and_a_person_never() {
        let one = RateLimit {
            rate: 10.0,
            burst: 3,
            algorithm: Algorithm::LeakyBucket,
        };
        let twenty = RateLimit {
            rate: 200.0,
            burst: 60,
            ..one
        };
        let limits = RateLimits {
            read: one,
            write: one,
            sign_up: one,
            login: one,
            mail: one,
            public: one,
            callback: one,
        };
        for class in Class::ALL {
            let of_development = if matches!(class, Class::Read | Class::Write) {
                one
            } else {
                twenty
            };
            for (profile, limit) in [
                (Profile::Development, of_development),
                (Profile::Test, one),
                (Profile::Production, one),
            ] {
                assert_eq!(class.limit(&limits, profile), limit, "{class:?} in {profile:?}");
            }
        }
    }
}
