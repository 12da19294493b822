//! One conversation with a client, as the script has it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};

use super::kept::{Mail, State, lock};
use super::script::What;
use super::{Answer, Stage};

/// Largest mail that is taken.
const MAX_BYTES: usize = 10 * 1024 * 1024;

/// What an endless reply is made of.
const NO_LINE_END: [u8; 8192] = [b'x'; 8192];

/// One client's connection. Lines that a client sent ahead (pipelining) wait in the reader.
pub(super) struct Conversation<S> {
    reader: BufReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
    state: Arc<Mutex<State>>,
    from: Option<String>,
    to: Vec<String>,
    tls: Offer,
}

/// Whether a client may have the conversation encrypted.
#[derive(PartialEq, Eq)]
enum Offer {
    None,
    Made,
    Taken,
}

/// How a conversation ended.
pub(super) enum End<S> {
    Over,
    /// The client wants to go on over TLS.
    Encrypt(S),
}

/// Whether the conversation goes on.
type Step = std::io::Result<bool>;

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    pub(super) fn over(stream: S, state: Arc<Mutex<State>>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: BufReader::new(reader),
            writer,
            state,
            from: None,
            to: Vec::new(),
            tls: Offer::None,
        }
    }

    /// Offers STARTTLS.
    pub(super) fn offering_tls(self) -> Self {
        Self {
            tls: Offer::Made,
            ..self
        }
    }

    /// Holds the conversation from the greeting on.
    pub(super) async fn run(mut self) -> std::io::Result<End<S>> {
        if !self.answer(Stage::Connect, "220 receiver ESMTP").await? {
            return Ok(End::Over);
        }
        self.go_on().await
    }

    /// Holds it without a greeting, as after STARTTLS.
    pub(super) async fn go_on(mut self) -> std::io::Result<End<S>> {
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !self.command(&line).await? {
                break;
            }
        }
        Ok(match self.tls {
            Offer::Taken => End::Encrypt(self.reader.into_inner().unsplit(self.writer)),
            _ => End::Over,
        })
    }

    async fn command(&mut self, line: &str) -> Step {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                let offer = self.offer();
                self.answer(Stage::Hello, &offer).await
            }
            "STARTTLS" if self.tls == Offer::Made => {
                self.say("220 go on").await?;
                self.tls = Offer::Taken;
                Ok(false)
            }
            "HELO" => {
                self.reset();
                self.answer(Stage::Hello, "250 receiver").await
            }
            "MAIL" => {
                self.reset();
                let address = address(line);
                let scripted = self.scripted(Stage::Sender).await;
                let taken = self.answer_unless_refused(scripted).await?;
                if taken == Some(true) {
                    self.from = address;
                }
                Ok(taken.is_some())
            }
            "RCPT" if self.from.is_some() => {
                let address = address(line);
                let scripted = match self.for_domain(address.as_deref()) {
                    None => self.scripted(Stage::Recipient).await,
                    Some(answer) => Some(given(answer).await),
                };
                let taken = self.answer_unless_refused(scripted).await?;
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

    /// What EHLO is told.
    fn offer(&self) -> String {
        let size = format!("250 SIZE {MAX_BYTES}");
        let lines = [
            ("250-receiver", true),
            ("250-PIPELINING", true),
            ("250-8BITMIME", true),
            ("250-SMTPUTF8", !lock(&self.state).ascii_only),
            ("250-STARTTLS", self.tls == Offer::Made),
            (&size, true),
        ];
        let said: Vec<_> = lines
            .iter()
            .filter(|(_, is_so)| *is_so)
            .map(|(line, _)| *line)
            .collect();
        said.join("\r\n")
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
        lock(&self.state).texts += 1;
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

    /// The text up to the lonely dot; `None` when the client left before it, or sent more than `MAX_BYTES`.
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
        Some(given(answer).await)
    }

    /// What the script says to a recipient's domain.
    fn for_domain(&self, address: Option<&str>) -> Option<Answer> {
        let (_, domain) = address?.rsplit_once('@')?;
        lock(&self.state).domains.get(domain).cloned()
    }

    async fn answer(&mut self, stage: Stage, normal: &str) -> Step {
        match self.scripted(stage).await {
            // A scripted success has the normal text: a client reads what EHLO offers.
            None | Some(What::Say(200..300, _)) => self.say(normal).await,
            Some(what) => self.give(what).await,
        }
    }

    /// `Some(taken)`, or `None` when the conversation is over.
    async fn answer_unless_refused(&mut self, scripted: Option<What>) -> std::io::Result<Option<bool>> {
        let what = scripted.unwrap_or_else(|| What::Say(250, "fine".to_owned()));
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
            What::Endless => loop {
                self.writer.write_all(&NO_LINE_END).await?;
                lock(&self.state).endless_bytes += NO_LINE_END.len();
            },
            What::Nothing => {
                lock(&self.state).silent += 1;
                // Reads on, so that the client's end is noticed, and says nothing.
                while self.line().await?.is_some() {}
                Ok(false)
            }
        }
    }

    async fn say(&mut self, text: &str) -> Step {
        self.writer.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.writer.flush().await?;
        Ok(true)
    }
}

async fn given(answer: Answer) -> What {
    tokio::time::sleep(answer.after).await;
    answer.what
}

/// What stands between the angle brackets.
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}
