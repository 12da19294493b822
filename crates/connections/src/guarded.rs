//! A connection that is cut when nothing could be answered on it for too long, and read no faster than it is answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use crate::per_address::Counted;

/// A connection is cut when for so long something was read or is to be written, and not a byte could be written: its peer
/// does not read, or its request does not end. Longer than any answer takes to begin.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read before something is written: the largest head (128 KiB) and the largest body, and some.
const MOST_UNANSWERED: usize = 256 * 1024;

/// A TCP connection with that bound.
///
/// One rule for all that goes wrong: a head that never ends, a peer that never reads, requests one behind the other without
/// end. A connection that rests between two requests is none of its business, and neither is a stream, on which something
/// is written from time to time.
pub struct Guarded {
    socket: TcpStream,
    /// When the first byte came, or could not be sent, since something was sent last.
    unanswered_since: Option<Instant>,
    /// Bytes that were read since.
    unanswered: usize,
    is_write_blocked: bool,
    is_read_paused: bool,
    hold: Hold,
    /// Behind the deadline when it rings too early; it is moved only then.
    alarm: Option<Pin<Box<Sleep>>>,
    _counted: Option<Counted>,
}

/// Keeps a connection from being cut, for as long as its request takes on purpose.
#[derive(Debug, Clone, Default)]
pub struct Hold(Arc<AtomicBool>);

impl Hold {
    /// From now on the connection is not cut.
    pub fn keep(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Guarded {
    pub(crate) fn new(socket: TcpStream, counted: Option<Counted>) -> Self {
        Self {
            socket,
            unanswered_since: None,
            unanswered: 0,
            is_write_blocked: false,
            is_read_paused: false,
            hold: Hold::default(),
            alarm: None,
            _counted: counted,
        }
    }

    /// The connection itself.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Keeps it from being cut.
    pub fn hold(&self) -> Hold {
        self.hold.clone()
    }

    /// Fails when the patience is over; else this is polled again by then.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(since) = self.unanswered_since else {
            return Ok(());
        };
        let end = since + PATIENCE;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end.into())));
        while alarm.as_mut().poll(cx).is_ready() {
            if self.hold.0.load(Ordering::Relaxed) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "nothing could be answered for too long",
                ));
            }
            alarm.as_mut().reset(end.into());
        }
        Ok(())
    }

    fn was_written(&mut self, cx: &Context<'_>) {
        self.unanswered_since = None;
        self.unanswered = 0;
        self.is_write_blocked = false;
        if std::mem::take(&mut self.is_read_paused) {
            cx.waker().wake_by_ref();
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // What is read now would be answered behind what can't be sent.
        if this.is_write_blocked || this.unanswered >= MOST_UNANSWERED {
            this.is_read_paused = true;
            this.poll_patience(cx)?;
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => {
                let bytes = buf.filled().len() - before;
                if bytes > 0 {
                    this.unanswered += bytes;
                    this.unanswered_since.get_or_insert_with(Instant::now);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => this.poll_patience(cx)?,
        }
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        match &written {
            Poll::Ready(Ok(_)) => this.was_written(cx),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                this.is_write_blocked = true;
                this.unanswered_since.get_or_insert_with(Instant::now);
                this.poll_patience(cx)?;
            }
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
