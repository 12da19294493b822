//! What a connection and the requests upon it tell each other. Both live on one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use actix_http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_http::{HttpMessage, Request};

/// Bytes that are read of a request's body while it is answered: the largest that anybody reads, and some. The server's own
/// buffer must not be filled: it looks at a full one without end.
const MOST_OF_A_BODY: usize = 96 * 1024;

/// Of one connection; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct State(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_held: Cell<bool>,
    is_answering: Cell<bool>,
    /// What may still be read of the body of the request that is being answered.
    body: Cell<usize>,
    /// Whoever waits for the answer's end to read on.
    reader: RefCell<Option<Waker>>,
}

/// A request that is being answered, from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct Answering(State);

/// Keeps a connection from being cut, for as long as its request takes on purpose.
#[derive(Debug, Clone)]
pub struct Hold(State);

impl Hold {
    /// From now on the connection is not cut.
    pub fn keep(&self) {
        self.0.0.is_held.set(true);
    }
}

impl State {
    pub(crate) fn hold(&self) -> Hold {
        Hold(self.clone())
    }

    pub(crate) fn is_held(&self) -> bool {
        self.0.is_held.get()
    }

    /// A request's head is there.
    pub(crate) fn begin(&self, request: &Request) -> Answering {
        self.0.is_answering.set(true);
        self.0.body.set(length(request).min(MOST_OF_A_BODY));
        Answering(self.clone())
    }

    /// How many bytes may be read now; `None`: any number, since nothing is being answered.
    pub(crate) fn may_read(&self) -> Option<usize> {
        self.0.is_answering.get().then(|| self.0.body.get())
    }

    pub(crate) fn was_read(&self, bytes: usize) {
        self.0.body.set(self.0.body.get().saturating_sub(bytes));
    }

    /// Has the task woken when the answer is at its end.
    pub(crate) fn wake_at_end(&self, cx: &Context<'_>) {
        let mut reader = self.0.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.is_answering.set(false);
        if let Some(reader) = self.0.0.reader.take() {
            reader.wake();
        }
    }
}

/// Of a request's body, as it is announced.
fn length(request: &Request) -> usize {
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return usize::MAX;
    }
    let length = request.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0)
}
