//! Ids that grow with time, as bounds.

use uuid::Uuid;

use crate::Timestamp;

/// The least `UUIDv7` (RFC 9562, 5.7) of the millisecond of `at`; a time before 1970 counts as its beginning.
pub(crate) fn first_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
    let [_, _, rest @ ..] = millis.to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&rest);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::{NoContext, Timestamp as Moment};

    use super::*;

    #[test]
    fn an_id_is_before_a_time_as_the_row_that_has_it() {
        let at = Timestamp::from_micros(1_764_486_000_123_456);
        let made = |at: Timestamp| {
            let seconds = u64::try_from(at.as_seconds()).unwrap();
            let nanos = u32::try_from(at.as_micros().rem_euclid(1_000_000) * 1_000).unwrap();
            Uuid::new_v7(Moment::from_unix(NoContext, seconds, nanos))
        };
        let bound = first_id(at);
        assert_eq!(bound.get_version_num(), 7);
        assert!(made(at) >= bound);
        assert!(made(at + Duration::from_millis(1)) > bound);
        assert!(made(at - Duration::from_millis(1)) < bound);
        assert_eq!(first_id(Timestamp::from_micros(-1)).as_bytes()[..6], [0; 6]);
    }
}
