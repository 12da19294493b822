//! The person of an event as the gateway keeps them.

use common::Timestamp;
use contracts::events::Person;

use crate::tables::recipients;

/// The row of a person who has no notification yet.
pub(super) fn recipient(person: Person, now: Timestamp) -> recipients::Model {
    recipients::Model {
        user_id: person.user_id,
        version: person.version,
        email: person.email,
        name: person.name,
        locale: person.locale,
        phone: person.phone,
        time_zone: person.time_zone,
        status: person.status,
        last_seq: 0,
        created_at: now,
        updated_at: now,
    }
}
