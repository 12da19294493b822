//! A mail server that keeps what it gets and answers by a script.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::eventually;

/// Largest mail that is taken.
const MAX_BYTES: usize = 10 * 1024 * 1024;

/// The points of a conversation where a script may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The greeting after connecting.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before the text.
    Data,
    /// The dot after the text.
    Text,
}

/// How the server answers at a stage.
#[derive(Debug, Clone)]
pub struct Answer {
    after: Duration,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Say(u16, String),
    Nothing,
    Close,
}

impl Answer {
    /// A reply. 421 closes the connection after it.
    pub fn say(code: u16, text: &str) -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Say(code, text.to_owned()),
        }
    }

    /// No reply, ever; the connection stays open. At [`Stage::Text`] the mail is kept all the same.
    pub fn nothing() -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Nothing,
        }
    }

    /// The connection is closed instead. At [`Stage::Text`] the mail is kept all the same.
    pub fn close() -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Close,
        }
    }

    /// The same, this much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

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

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    /// Answers to give once, in order.
    once: BTreeMap<Stage, VecDeque<Answer>>,
    /// Answers to give when nothing is left to give once.
    always: BTreeMap<Stage, Answer>,
    connections: usize,
}

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

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client's connection. Lines that a client sent ahead (pipelining) wait in the reader.
struct Conversation {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    state: Arc<Mutex<State>>,
    from: Option<String>,
    to: Vec<String>,
}

/// Whether the conversation goes on.
type Step = std::io::Result<bool>;

impl Conversation {
    fn over(stream: TcpStream, state: Arc<Mutex<State>>) -> Self {
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            state,
            from: None,
            to: Vec::new(),
        }
    }

    async fn run(mut self) -> std::io::Result<()> {
        if !self.answer(Stage::Connect, "220 receiver ESMTP").await? {
            return Ok(());
        }
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !self.command(&line).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn command(&mut self, line: &str) -> Step {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                let normal =
                    format!("250-receiver\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAX_BYTES}");
                self.answer(Stage::Hello, &normal).await
            }
            "HELO" => {
                self.reset();
                self.answer(Stage::Hello, "250 receiver").await
            }
            "MAIL" => {
                self.reset();
                let address = address(line);
                let taken = self.answer_unless_refused(Stage::Sender).await?;
                if taken == Some(true) {
                    self.from = address;
                }
                Ok(taken.is_some())
            }
            "RCPT" if self.from.is_some() => {
                let address = address(line);
                let taken = self.answer_unless_refused(Stage::Recipient).await?;
                if taken == Some(true) {
                    self.to.extend(address);
                }
                Ok(taken.is_some())
            }
            "DATA" if !self.to.is_empty() => self.data().await,
            "RSET" => {
                self.reset();
                self.say("250 forgotten").await
            }
            "NOOP" => self.say("250 still here").await,
            "QUIT" => {
                self.say("221 bye").await?;
                Ok(false)
            }
            "RCPT" | "DATA" => self.say("503 not now").await,
            _ => self.say("500 what?").await,
        }
    }

    async fn data(&mut self) -> Step {
        match self.scripted(Stage::Data).await {
            None | Some(What::Say(354, _)) => {
                self.say("354 go on").await?;
            }
            Some(other) => return self.give(other).await,
        }
        let Some(data) = self.text().await? else {
            return Ok(false);
        };
        let answer = self.scripted(Stage::Text).await;
        if !matches!(answer, Some(What::Say(code, _)) if code >= 300) {
            let mail = Mail {
                from: self.from.take().unwrap_or_default(),
                to: std::mem::take(&mut self.to),
                data,
                at: Instant::now(),
            };
            lock(&self.state).mails.push(mail);
        }
        self.reset();
        match answer {
            None => self.say("250 kept").await,
            Some(what) => self.give(what).await,
        }
    }

    /// The text up to the lonely dot; `None` when the client left before it.
    async fn text(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut data = Vec::new();
        while let Some(line) = self.line().await? {
            if line == b".\r\n" {
                return Ok(Some(data));
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if data.len() > MAX_BYTES {
                break;
            }
        }
        Ok(None)
    }

    async fn line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let length = self.reader.read_until(b'\n', &mut line).await?;
        Ok((length > 0).then_some(line))
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    /// What the script says to this stage, after its delay.
    async fn scripted(&self, stage: Stage) -> Option<What> {
        let answer = {
            let mut shared = lock(&self.state);
            let once = shared.once.get_mut(&stage).and_then(VecDeque::pop_front);
            once.or_else(|| shared.always.get(&stage).cloned())
        }?;
        tokio::time::sleep(answer.after).await;
        Some(answer.what)
    }

    async fn answer(&mut self, stage: Stage, normal: &str) -> Step {
        match self.scripted(stage).await {
            // A scripted success has the normal text: a client reads what EHLO offers.
            None | Some(What::Say(200..300, _)) => self.say(normal).await,
            Some(what) => self.give(what).await,
        }
    }

    /// `Some(taken)`, or `None` when the conversation is over.
    async fn answer_unless_refused(&mut self, stage: Stage) -> std::io::Result<Option<bool>> {
        let what = self
            .scripted(stage)
            .await
            .unwrap_or_else(|| What::Say(250, "fine".to_owned()));
        let taken = matches!(what, What::Say(200..300, _));
        Ok(self.give(what).await?.then_some(taken))
    }

    async fn give(&mut self, what: What) -> Step {
        match what {
            What::Say(code, text) => {
                self.say(&format!("{code} {text}")).await?;
                Ok(code != 421)
            }
            What::Close => Ok(false),
            What::Nothing => {
                // Reads on, so that the client's end is noticed, and says nothing.
                while self.line().await?.is_some() {}
                Ok(false)
            }
        }
    }

    async fn say(&mut self, text: &str) -> Step {
        self.writer.write_all(format!("{text}\r\n").as_bytes()).await?;
        Ok(true)
    }
}

/// What stands between the angle brackets.
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}
