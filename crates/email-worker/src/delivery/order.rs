//! What a delivery row says of a mail: a consumer writes it, the sender reads it.

use common::dispatch::Delivery;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::emails::Template;

/// The channel of every delivery of this service.
pub(crate) const CHANNEL: &str = "email";
/// How many names all mails share for caps and pauses.
const DESTINATIONS: u128 = 1024;

/// What a delivery row keeps of a mail: enough to write it, never the mail itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MailOrder {
    pub(crate) template: Template,
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    pub(crate) locale: String,
}

impl MailOrder {
    /// The order that the row keeps; `None` when the row is not one of a mail.
    pub(super) fn of(delivery: &Delivery) -> Option<Self> {
        Self::deserialize(&delivery.payload).ok()
    }
}

/// What a mail counts under for caps and pauses: its recipient's domain, since what slows one must not slow another.
///
/// It is one of a fixed number of names instead of the domain itself, for two reasons: anybody can sign up under any
/// domain, and each claim lists what rests; and a domain may be somebody's name. Domains that share a name pause together.
pub(crate) fn destination(recipient: &str) -> String {
    let domain = recipient.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let number = Uuid::new_v5(&Uuid::NAMESPACE_DNS, domain.as_bytes()).as_u128() % DESTINATIONS;
    format!("mail-{number}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_domain_has_one_destination_which_does_not_tell_it_and_there_are_not_many() {
        assert_eq!(destination("ann@example.org"), destination("Bob@EXAMPLE.org"));
        assert_ne!(destination("ann@example.org"), destination("ann@example.com"));
        assert!(!destination("ann@lee.example").contains("lee"));
        let all: HashSet<_> = (0..20_000).map(|n| destination(&format!("a@{n}.test"))).collect();
        assert_eq!(all.len(), 1024);
    }
}
