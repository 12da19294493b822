//! A connection that is cut when nothing could be answered on it for too long, and on which nothing is read behind a request
//! before that is answered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use crate::per_address::Counted;
use crate::state::{Hold, State};

/// A connection is cut when for so long something was read or is to be written, and not a byte could be written: its peer
/// does not read, or its request does not end. Longer than any answer takes to begin.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The same where nothing but line ends was read, which some clients send behind a body (RFC 9112, 2.2).
const PATIENCE_AT_REST: Duration = Duration::from_secs(75);
/// Bytes that are read at a time. The server takes all requests apart that it has read, some thirty bytes each, and a request
/// takes kilobytes then.
const PIECE: usize = 1024;

/// A TCP connection with that bound.
///
/// One rule for all that goes wrong: a head that never ends, a peer that never reads, requests one behind the other without
/// end. A connection that rests between two requests is none of its business, and neither is a stream, on which something
/// is written from time to time.
pub struct Guarded {
    socket: TcpStream,
    state: State,
    /// When the first byte came, or could not be sent, since something was sent last; and how long that may last.
    unanswered: Option<(Instant, Duration)>,
    is_write_blocked: bool,
    /// A whole piece was read: the server is to look at it before there is another one.
    is_piece_whole: bool,
    /// Behind the deadline when it rings too early; it is moved only then.
    alarm: Option<Pin<Box<Sleep>>>,
    _counted: Option<Counted>,
}

impl Guarded {
    pub(crate) fn new(socket: TcpStream, counted: Option<Counted>) -> Self {
        Self {
            socket,
            state: State::default(),
            unanswered: None,
            is_write_blocked: false,
            is_piece_whole: false,
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
        self.state.hold()
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Fails when the patience is over; else this is polled again by then.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some((since, patience)) = self.unanswered else {
            return Ok(());
        };
        let end = since + patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end.into())));
        if alarm.deadline().into_std() > end {
            alarm.as_mut().reset(end.into());
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if self.state.is_held() {
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

    fn is_waiting(&mut self, patience: Duration) {
        let is_longer = |known: &(Instant, Duration)| known.1 > patience;
        if self.unanswered.as_ref().is_none_or(is_longer) {
            self.unanswered = Some((Instant::now(), patience));
        }
    }

    fn was_read(&mut self, bytes: &[u8]) {
        self.state.was_read(bytes.len());
        self.is_piece_whole = bytes.len() == PIECE;
        let is_rest = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if !bytes.is_empty() {
            self.is_waiting(if is_rest { PATIENCE_AT_REST } else { PATIENCE });
        }
    }

    /// Reads nothing, and notices all the same when the peer is gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.wake_at_end(cx);
        self.poll_patience(cx)?;
        let mut byte = [0];
        match ready!(self.socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)))? {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = match this.state.may_read() {
            Some(0) => 0,
            Some(most) => most.min(PIECE),
            None => PIECE,
        };
        // What is read behind what can't be sent would be answered behind it.
        if most == 0 || this.is_write_blocked {
            return this.poll_gone(cx);
        }
        if std::mem::take(&mut this.is_piece_whole) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = most.min(buf.remaining());
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(most));
        let read = Pin::new(&mut this.socket).poll_read(cx, &mut piece);
        let bytes = piece.filled().len();
        match &read {
            Poll::Ready(Ok(())) => this.was_read(piece.filled()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => this.poll_patience(cx)?,
        }
        buf.advance(bytes);
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        match &written {
            Poll::Ready(Ok(_)) => {
                this.unanswered = None;
                if std::mem::take(&mut this.is_write_blocked) {
                    // Reading waited for this.
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                this.is_write_blocked = true;
                this.is_waiting(PATIENCE);
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
