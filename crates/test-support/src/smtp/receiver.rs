//! The server itself: takes connections, and lets a test look at what came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::conversation::Conversation;
use super::kept::{Mail, State, lock};
use super::{Answer, Stage};
use crate::eventually;

/// A running SMTP server on 127.0.0.1, gone with its value.
pub struct SmtpReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl SmtpReceiver {
    /// Starts one that takes every mail.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                let state = Arc::clone(&shared);
                conversations.spawn(async move {
                    // An end of the conversation is no matter; what was kept was kept.
                    let _ = Conversation::over(stream, state).run().await;
                });
                while conversations.try_join_next().is_some() {}
            }
        });
        Self { address, state, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address, as the setting `mail.url` takes it.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Answers the next conversations that reach the stage, one answer each, in order.
    pub fn script(&self, stage: Stage, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.state).once.entry(stage).or_default().extend(answers);
    }

    /// Answers every conversation that reaches the stage so, until told otherwise (`None`: normally).
    pub fn always(&self, stage: Stage, answer: impl Into<Option<Answer>>) {
        let mut shared = lock(&self.state);
        match answer.into() {
            Some(answer) => shared.always.insert(stage, answer),
            None => shared.always.remove(&stage),
        };
    }

    /// The mails so far, in the order of their arrival.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.state).mails.clone()
    }

    /// The mails to one address.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.to.iter().any(|to| to == address));
        mails
    }

    /// How many mails each address got.
    pub fn per_recipient(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for recipient in lock(&self.state).mails.iter().flat_map(|mail| &mail.to) {
            *counts.entry(recipient.clone()).or_default() += 1;
        }
        counts
    }

    /// How often a client connected.
    pub fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// Waits until at least this many mails came, and gives back all of them.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Vec<Mail> {
        eventually(deadline, || async {
            let mails = self.mails();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }
}

impl Drop for SmtpReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
