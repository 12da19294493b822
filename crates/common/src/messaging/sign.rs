//! The sign of life that a dispatcher gives over the broker while it does not reach its database.

use uuid::Uuid;

/// Longest sign that is read, in bytes: room for 4,095 deliveries, and a dispatcher has some hundred in hand.
const MAX_BYTES: usize = 64 * 1024;

/// A sign of life of a dispatcher that does not reach its database: what it has in hand.
///
/// It is no event: it tells only of this moment, nobody stores it, and after one that is lost comes the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignOfLife {
    /// The dispatcher.
    pub holder: Uuid,
    /// The deliveries that it has in hand.
    pub deliveries: Vec<Uuid>,
}

impl SignOfLife {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let ids = std::iter::once(&self.holder).chain(&self.deliveries);
        ids.flat_map(|id| *id.as_bytes()).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote, 16 bytes for each id with the dispatcher's first; `None` for anything else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (ids, rest) = bytes.as_chunks::<16>();
        if bytes.len() > MAX_BYTES || !rest.is_empty() {
            return None;
        }
        let mut ids = ids.iter().map(|id| Uuid::from_bytes(*id));
        Some(Self {
            holder: ids.next()?,
            deliveries: ids.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_read_as_it_was_written_and_nothing_else_is() {
        let sign = SignOfLife {
            holder: Uuid::now_v7(),
            deliveries: vec![Uuid::now_v7(), Uuid::now_v7()],
        };
        let bytes = sign.to_bytes();
        assert_eq!(SignOfLife::read(&bytes), Some(sign));
        assert_eq!(SignOfLife::read(&bytes[..40]), None);
        assert_eq!(SignOfLife::read(&[]), None);
        assert_eq!(SignOfLife::read(&vec![0; MAX_BYTES + 16]), None);
    }
}
