//! The bytes of a conversation, bounded before anybody holds them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that one step may bring: replies have a few hundred, a handshake has its certificates. The bound is here,
/// since `lettre` looks at a line's length only once it has the whole line.
const MAX_REPLY_BYTES: usize = 32 * 1024;

/// How many more bytes may be read. The stream and whoever waits for the next reply share it.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_REPLY_BYTES)))
    }

    /// Allows the full number of bytes again, for the next reply.
    pub(super) fn renew(&self) {
        self.0.store(MAX_REPLY_BYTES, Ordering::Relaxed);
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn take(&self, bytes: usize) {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(bytes);
        self.0.store(left, Ordering::Relaxed);
    }
}

/// A stream that fails when the server says more than is allowed.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    allowance: Allowance,
}

impl<S> Bounded<S> {
    pub(super) fn new(stream: S, peer: SocketAddr, allowance: Allowance) -> Self {
        Self {
            stream,
            peer,
            allowance,
        }
    }
}

impl<S> AsyncTokioStream for Bounded<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.allowance.is_used_up() {
            return Poll::Ready(Err(io::Error::other("more than a reply may hold")));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.allowance.take(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_comes_is_cut_off_at_the_bound_and_goes_on_with_the_next_reply() {
        let (ours, mut theirs) = tokio::io::duplex(MAX_REPLY_BYTES * 4);
        theirs.write_all(&vec![b'x'; MAX_REPLY_BYTES * 3]).await.unwrap();
        let allowance = Allowance::new();
        let mut stream = Bounded::new(ours, ([127, 0, 0, 1], 25).into(), allowance.clone());
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap_err();
        assert!(read.len() < MAX_REPLY_BYTES * 2, "{}", read.len());
        assert!(allowance.is_used_up());
        allowance.renew();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
    }
}
