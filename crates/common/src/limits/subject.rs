//! Who is counted.

use std::fmt;
use std::net::IpAddr;

use uuid::Uuid;

use super::Class;
use crate::config::Service;

/// Who a request is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person or another system, as a verified token names it.
    Person(Uuid),
    /// Where a request comes from: an IPv4 address, or the first of an IPv6 network of 64 bits.
    Source(IpAddr),
}

impl Subject {
    /// The source at this address.
    pub fn source(address: IpAddr) -> Self {
        Self::Source(match address.to_canonical() {
            // Whoever has one address of such a network has them all.
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// What is counted together: one subject's requests of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Counted {
    pub(super) class: Class,
    pub(super) subject: Subject,
}

impl Counted {
    /// Its key in the store. Services count apart.
    pub(super) fn key(&self, service: Service) -> String {
        format!("limit:{service}:{}:{}", self.class.name(), self.subject)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person:{id}"),
            Self::Source(address) => write!(f, "source:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_network_of_64_bits() {
        let source = |address: &str| Subject::source(address.parse().unwrap());
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), source("2001:db8:1:2::"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("203.0.113.7"), source("203.0.113.8"));
        assert_eq!(source("::ffff:203.0.113.7"), source("203.0.113.7"));
        let counted = Counted {
            class: Class::SignUp,
            subject: source("2001:db8::1"),
        };
        assert_eq!(
            counted.key(Service::UserApi),
            "limit:user-api:sign_up:source:2001:db8::"
        );
    }
}
