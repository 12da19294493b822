//! What the server has got, and what it is still to answer.

use std::collections::{BTreeMap, VecDeque};

use std::time::Instant;

use super::{Answer, Stage};
use parking_lot::{Mutex, MutexGuard};

/// A mail as it arrived.
#[derive(Clone)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// The message, dots unstuffed, lines ended by CR LF.
    pub data: Vec<u8>,
    /// When its last byte came.
    pub at: Instant,
}

/// What a server and its conversations share.
#[derive(Default)]
pub(super) struct State {
    pub(super) mails: Vec<Mail>,
    /// Answers to give once, in order.
    pub(super) once: BTreeMap<Stage, VecDeque<Answer>>,
    /// Answers to give when nothing is left to give once.
    pub(super) always: BTreeMap<Stage, Answer>,
    /// Answers to the recipients of a domain, before all others.
    pub(super) domains: BTreeMap<String, Answer>,
    /// EHLO does not offer SMTPUTF8.
    pub(super) ascii_only: bool,
    pub(super) connections: usize,
    /// Conversations that fell silent.
    pub(super) silent: usize,
    pub(super) texts: usize,
    /// What endless replies have come to.
    pub(super) endless_bytes: usize,
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}
