//! Who is let into the operations API.
//!
//! With `operations.token` set: whoever shows it, in every profile. Without it: under development whoever is on the machine
//! itself; in every other profile nobody (404). `/livez`, `/readyz`, `/metrics` and `/version` ask for no token.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use prometheus_client::metrics::counter::Counter;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::config::{Profile, Settings};
use crate::http::claims::token_of;
use crate::http::{Problem, kinds};
use crate::telemetry::Metrics;

/// What lets somebody in, and the counters of refused requests: those without a token, and those with a wrong one.
pub(super) struct Guard {
    way: Way,
    without_token: Counter,
    with_bad_token: Counter,
}

/// What lets somebody in.
enum Way {
    /// This token.
    Token(SecretString),
    /// That they are on the machine itself.
    Loopback,
    /// Nothing.
    Closed,
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// For them nothing is here.
    Closed,
    /// They show no token.
    NoToken,
    /// They show another token.
    BadToken,
}

impl Guard {
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> Self {
        Self {
            way: Way::of(settings.profile, &settings.operations.token),
            without_token: metrics.operations_refused("no_token"),
            with_bad_token: metrics.operations_refused("bad_token"),
        }
    }

    /// Whether anybody can be let in.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.way, Way::Closed)
    }

    /// Lets a request in, or gives the problem that it is refused with, and counts a token that is missing or wrong.
    pub(super) fn admit(&self, request: &ServiceRequest) -> Result<(), Problem> {
        let peer = request.peer_addr().map(|peer| peer.ip());
        let token = token_of(request.request()).ok();
        self.way.lets_in(peer, token).map_err(|refused| match refused {
            Refused::Closed => Problem::new(&kinds::NOT_FOUND),
            Refused::NoToken => {
                self.without_token.inc();
                Problem::new(&kinds::UNAUTHORIZED).detail("Send `Authorization: Bearer <operations.token>`.")
            }
            Refused::BadToken => {
                self.with_bad_token.inc();
                Problem::bad_token().detail("This is not the service's `operations.token`.")
            }
        })
    }
}

impl Way {
    fn of(profile: Profile, token: &SecretString) -> Self {
        let token = token.expose_secret().trim();
        match profile {
            _ if !token.is_empty() => Self::Token(token.into()),
            Profile::Development => Self::Loopback,
            Profile::Test | Profile::Production => Self::Closed,
        }
    }

    fn lets_in(&self, peer: Option<IpAddr>, shown: Option<&str>) -> Result<(), Refused> {
        match self {
            Self::Token(token) => {
                let shown = shown.ok_or(Refused::NoToken)?;
                // In constant time: how long it takes does not show where two tokens of one length differ.
                let is_same = token.expose_secret().as_bytes().ct_eq(shown.as_bytes());
                bool::from(is_same).then_some(()).ok_or(Refused::BadToken)
            }
            Self::Loopback => {
                let is_here = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
                is_here.then_some(()).ok_or(Refused::Closed)
            }
            Self::Closed => Err(Refused::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1";
    const ELSEWHERE: &str = "192.0.2.7";

    fn asks(profile: Profile, set: &str, peer: &str, shown: Option<&str>) -> Result<(), Refused> {
        Way::of(profile, &set.into()).lets_in(Some(peer.parse().unwrap()), shown)
    }

    #[test]
    fn a_token_that_is_set_is_wanted_in_every_profile() {
        for profile in [Profile::Development, Profile::Test, Profile::Production] {
            for peer in [HERE, ELSEWHERE] {
                assert_eq!(asks(profile, " sesame\n", peer, Some("sesame")), Ok(()));
                assert_eq!(asks(profile, "sesame", peer, None), Err(Refused::NoToken));
                for bad in ["sesam", "sesame ", "Sesame", "sesamee", ""] {
                    assert_eq!(
                        asks(profile, "sesame", peer, Some(bad)),
                        Err(Refused::BadToken),
                        "{bad}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_one_only_development_is_open_and_to_the_machine_itself_alone() {
        for unset in ["", " \n"] {
            for here in [HERE, "::1", "::ffff:127.0.0.1"] {
                assert_eq!(asks(Profile::Development, unset, here, None), Ok(()));
            }
            assert_eq!(asks(Profile::Development, unset, ELSEWHERE, None), Err(Refused::Closed));
            for profile in [Profile::Test, Profile::Production] {
                assert_eq!(asks(profile, unset, HERE, Some("")), Err(Refused::Closed));
            }
        }
    }
}
