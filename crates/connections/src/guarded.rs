//! A connection that is cut when nothing could be answered on it for too long, and on which nothing is read behind a request
//! before that is answered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use memchr::memmem;
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
/// Bytes that are read at a time.
const PIECE: usize = 1024;
/// What a head ends with.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

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
    /// What came behind the end of a head. The server takes apart all that it is given, and of a request of thirty bytes it
    /// makes kilobytes: so it is given one at a time.
    ahead: Vec<u8>,
    /// The server is to look at what it was given before there is more.
    is_to_look: bool,
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
            ahead: Vec::new(),
            is_to_look: false,
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
            0 if self.ahead.is_empty() => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Some bytes that came, from the socket or from what is ahead; none at the end of the stream.
    fn poll_piece<'a>(&mut self, cx: &mut Context<'_>, piece: &'a mut [u8]) -> Poll<io::Result<&'a [u8]>> {
        if !self.ahead.is_empty() {
            let bytes = self.ahead.len().min(piece.len());
            piece[..bytes].copy_from_slice(&self.ahead[..bytes]);
            self.ahead.drain(..bytes);
            // It came long ago, but its answer is due from now on.
            self.was_read(&piece[..bytes]);
            return Poll::Ready(Ok(&piece[..bytes]));
        }
        let mut read = ReadBuf::new(piece);
        if Pin::new(&mut self.socket).poll_read(cx, &mut read)?.is_pending() {
            self.poll_patience(cx)?;
            return Poll::Pending;
        }
        let bytes = read.filled().len();
        self.was_read(read.filled());
        Poll::Ready(Ok(&piece[..bytes]))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let body = this.state.may_read();
        // What is read behind what can't be sent would be answered behind it.
        if body == Some(0) || this.is_write_blocked {
            return this.poll_gone(cx);
        }
        if std::mem::take(&mut this.is_to_look) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = body.unwrap_or(PIECE).min(PIECE).min(buf.remaining());
        let mut piece = [0; PIECE];
        let bytes = ready!(this.poll_piece(cx, &mut piece[..most]))?;
        let given = match body {
            Some(_) => bytes,
            None => up_to_a_head(bytes),
        };
        let behind = &bytes[given.len()..];
        if !behind.is_empty() {
            this.ahead.splice(..0, behind.iter().copied());
        }
        this.is_to_look = !this.ahead.is_empty() || given.len() == PIECE;
        this.state.was_read(given.len());
        buf.put_slice(given);
        Poll::Ready(Ok(()))
    }
}

/// What ends with the end of a head, or all of it where there is none.
fn up_to_a_head(bytes: &[u8]) -> &[u8] {
    let end = memmem::find(bytes, END_OF_HEAD);
    end.map_or(bytes, |at| &bytes[..at + END_OF_HEAD.len()])
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
