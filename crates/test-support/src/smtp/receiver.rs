//! The server itself: takes connections, and lets a test look at what came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;
use super::conversation::Conversation;
use super::kept::{Mail, State, lock};
use super::{Answer, Stage};
use crate::eventually;

/// A running SMTP server on 127.0.0.1, gone with its value.
pub struct SmtpReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
    root: Option<Vec<u8>>,
}

impl SmtpReceiver {
    /// Starts one that takes every mail.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// Starts one that speaks TLS from the first byte.
    pub async fn start_over_tls() -> Self {
        Self::listen(Some(Certificate::for_this_machine())).await
    }

    async fn listen(certificate: Option<Certificate>) -> Self {
        let (tls, root) = certificate.map(|it| (it.acceptor, it.root)).unzip();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                let state = Arc::clone(&shared);
                conversations.spawn(converse(stream, tls.clone(), state));
                while conversations.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            state,
            task,
            root,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address, as the setting `mail.url` takes it.
    pub fn url(&self) -> String {
        let scheme = if self.root.is_some() { "smtps" } else { "smtp" };
        format!("{scheme}://{}", self.address)
    }

    /// What a client over TLS must trust (DER).
    pub fn root(&self) -> Option<&[u8]> {
        self.root.as_deref()
    }

    /// No longer offers SMTPUTF8, to clients that greet from now on.
    pub fn take_ascii_only(&self) {
        lock(&self.state).ascii_only = true;
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

    /// Answers RCPT TO so for every address of a domain, until told otherwise (`None`: as all others).
    pub fn always_to(&self, domain: &str, answer: impl Into<Option<Answer>>) {
        let mut shared = lock(&self.state);
        match answer.into() {
            Some(answer) => shared.domains.insert(domain.to_owned(), answer),
            None => shared.domains.remove(domain),
        };
    }

    /// How many texts it has heard to their end, those that it has not answered yet included.
    pub fn texts(&self) -> usize {
        lock(&self.state).texts
    }

    /// How many conversations it let fall silent, those that have ended since included.
    pub fn silent(&self) -> usize {
        lock(&self.state).silent
    }

    /// How many bytes of endless replies clients have taken, what is on the way included.
    pub fn endless_bytes(&self) -> usize {
        lock(&self.state).endless_bytes
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

/// An end of the conversation is no matter; what was kept was kept.
async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        let _ = Conversation::over(stream, state).run().await;
        return;
    };
    if let Ok(stream) = tls.accept(stream).await {
        let _ = Conversation::over(stream, state).run().await;
    }
}

impl Drop for SmtpReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
