//! The server itself: takes connections, and lets a test look at what came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::conversation::{Conversation, End};
use super::kept::{Mail, State, lock};
use super::tls::{Tls, acceptor};
use super::{Answer, Stage};
use crate::{Authority, Shown, eventually};

/// A running SMTP server on 127.0.0.1, gone with its value.
pub struct SmtpReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
    tls: Tls,
    /// The authority of a receiver that was started without one of the test's.
    authority: Option<Authority>,
}

impl SmtpReceiver {
    /// Starts one that takes every mail.
    pub async fn start() -> Self {
        Self::listen(Tls::None).await
    }

    /// Starts one that speaks TLS from the first byte, with an authority of its own.
    pub async fn start_over_tls() -> Self {
        let authority = Authority::create();
        let mut receiver = Self::start_showing(&authority, Shown::Right).await;
        receiver.authority = Some(authority);
        receiver
    }

    /// Starts one that speaks TLS from the first byte, and shows such a certificate.
    pub async fn start_showing(authority: &Authority, shown: Shown) -> Self {
        Self::listen(Tls::Always(acceptor(authority, shown))).await
    }

    /// Starts one that offers STARTTLS, and shows such a certificate then.
    pub async fn start_offering_tls(authority: &Authority, shown: Shown) -> Self {
        Self::listen(Tls::Offered(acceptor(authority, shown))).await
    }

    async fn listen(tls: Tls) -> Self {
        let spoken = tls.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                let state = Arc::clone(&shared);
                conversations.spawn(converse(stream, spoken.clone(), state));
                while conversations.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            state,
            task,
            tls,
            authority: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address, as the setting `mail.url` takes it.
    pub fn url(&self) -> String {
        match self.tls {
            Tls::None => format!("smtp://{}", self.address),
            Tls::Always(_) => format!("smtps://{}", self.address),
            Tls::Offered(_) => format!("smtp://{}?tls=required", self.address),
        }
    }

    /// The file that a client over TLS must trust, when the receiver has an authority of its own.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.authority.as_ref().map(Authority::ca_file)
    }

    /// No longer offers SMTPUTF8, to clients that greet from now on.
    pub fn take_ascii_only(&self) {
        lock(&self.state).ascii_only = true;
    }

    /// Answers the next conversations that reach the stage, one answer each, in order.
    pub fn script(&self, stage: Stage, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.state).once.entry(stage).or_default().extend(answers);
    }

    /// Gives this answer to every conversation that reaches the stage, until told otherwise (`None`: the normal answer).
    pub fn always(&self, stage: Stage, answer: impl Into<Option<Answer>>) {
        let mut shared = lock(&self.state);
        match answer.into() {
            Some(answer) => shared.always.insert(stage, answer),
            None => shared.always.remove(&stage),
        };
    }

    /// Gives this answer to RCPT TO for every address of a domain, until told otherwise (`None`: as to all others).
    pub fn always_to(&self, domain: &str, answer: impl Into<Option<Answer>>) {
        let mut shared = lock(&self.state);
        match answer.into() {
            Some(answer) => shared.domains.insert(domain.to_owned(), answer),
            None => shared.domains.remove(domain),
        };
    }

    /// How many mails' texts came to their end, those that are not answered yet included.
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

/// Holds one conversation. An error only ends it: mails that were kept stay.
async fn converse(stream: TcpStream, tls: Tls, state: Arc<Mutex<State>>) {
    let _ = stream.set_nodelay(true);
    match tls {
        Tls::None => {
            let _ = Conversation::over(stream, state).run().await;
        }
        Tls::Always(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = Conversation::over(stream, state).run().await;
            }
        }
        Tls::Offered(acceptor) => {
            let plain = Conversation::over(stream, Arc::clone(&state)).offering_tls();
            let Ok(End::Encrypt(stream)) = plain.run().await else {
                return;
            };
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = Conversation::over(stream, state).go_on().await;
            }
        }
    }
}

impl Drop for SmtpReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
