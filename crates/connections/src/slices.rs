//! The body of an answer that is in memory already, handed on piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

/// Bytes of a piece: what a connection copies at a time.
const PIECE: usize = 8 * 1024;

/// A body of known length that shares its bytes with whoever else has them.
///
/// The server copies what it is given before it is sent. Given the whole, a connection whose peer does not read would hold a
/// copy of all of it.
#[derive(Debug, Clone)]
pub struct Slices(Bytes);

impl From<Bytes> for Slices {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl MessageBody for Slices {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.0.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        // What is one piece is sent as what it is.
        if self.0.len() <= PIECE { Ok(self.0) } else { Err(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_handed_on_piece_by_piece_without_a_copy() {
        let whole = Bytes::from(vec![7; PIECE * 2 + 5]);
        let mut body = Slices::from(whole.clone());
        assert_eq!(body.size(), BodySize::Sized(whole.len() as u64));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut pieces = Vec::new();
        while let Poll::Ready(Some(Ok(piece))) = Pin::new(&mut body).poll_next(&mut context) {
            pieces.push(piece);
        }
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, 5]);
        assert_eq!(pieces[1].as_ptr(), whole[PIECE..].as_ptr());
    }

    #[test]
    fn nothing_is_a_body_too() {
        let mut body = Slices::from(Bytes::new());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(Pin::new(&mut body).poll_next(&mut context), Poll::Ready(None)));
    }
}
