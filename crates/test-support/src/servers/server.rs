//! A server process that comes and goes: what every private server is.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::process::{Guard, family, signal};
use crate::{Folder, Port, eventually};

/// How long a server may take to answer; RabbitMQ boots in 6 s on an idle machine, in minutes where builds run beside it.
pub(super) const START: Duration = Duration::from_mins(4);

/// Between two looks at a server that starts.
const AGAIN: Duration = Duration::from_millis(20);

/// What the private servers have in common: a process that comes and goes on one port, over data that stays.
#[derive(Debug)]
pub struct Server {
    command: Command,
    /// What a client says first, and how a server that is ready begins its answer.
    greeting: (&'static [u8], &'static [u8]),
    port: Port,
    folder: Folder,
    running: Option<(Child, Guard)>,
}

impl Server {
    pub(super) fn new(command: Command, greeting: (&'static [u8], &'static [u8]), port: Port, folder: Folder) -> Self {
        Self {
            command,
            greeting,
            port,
            folder,
            running: None,
        }
    }

    /// The port it listens on, the same through every restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Starts it, when it does not run, and waits until it answers.
    ///
    /// One that ends at once is started again: a database that was killed refuses while its last child is dying.
    pub async fn start(&mut self) {
        let end = Instant::now() + START;
        self.launch();
        while !self.answers().await {
            assert!(Instant::now() < end, "no server answers; it wrote:\n{}", self.log());
            if self.has_ended() {
                self.running = None;
                self.launch();
            }
            sleep(AGAIN).await;
        }
    }

    fn has_ended(&mut self) -> bool {
        let running = self.running.as_mut();
        running.is_some_and(|(child, _)| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Starts it without waiting; does nothing when it was started and not killed.
    pub fn launch(&mut self) {
        if self.running.is_some() {
            return;
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("output.log"))
            .expect("a log file");
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file again"))
            .stderr(log)
            .spawn()
            .expect("the server's program; `make services` installs it");
        let guard = Guard::over(child.id());
        self.running = Some((child, guard));
    }

    /// Waits until it answers; panics after four minutes.
    pub async fn ready(&self) {
        eventually(START, || self.answers()).await;
    }

    /// Whether it answers a first word of its own protocol.
    pub async fn answers(&self) -> bool {
        let talk = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port())).await.ok()?;
            stream.write_all(self.greeting.0).await.ok()?;
            let mut answer = vec![0; self.greeting.1.len()];
            stream.read_exact(&mut answer).await.ok()?;
            (answer == self.greeting.1).then_some(())
        };
        tokio::time::timeout(Duration::from_secs(1), talk)
            .await
            .is_ok_and(|answer| answer.is_some())
    }

    /// Kills it, `kill -9`, with every process that it started. Its data stays.
    pub fn kill(&mut self) {
        if let Some((mut child, _guard)) = self.running.take() {
            signal("KILL", &family(child.id()));
            let _ = child.wait();
        }
    }

    /// Kills it and starts it again, and waits until it answers.
    pub async fn restart(&mut self) {
        self.kill();
        self.start().await;
    }

    /// Stops its time: it holds its connections and answers nothing (SIGSTOP).
    pub fn freeze(&self) {
        let mut frozen = Vec::new();
        // Repeated until there is no new process: a child may be born while its parent is being stopped, and would serve on.
        loop {
            let mut new = self.family();
            new.retain(|id| !frozen.contains(id));
            if new.is_empty() {
                return;
            }
            signal("STOP", &new);
            frozen.extend(new);
        }
    }

    /// Lets its time go on (SIGCONT).
    pub fn thaw(&self) {
        signal("CONT", &self.family());
    }

    /// What it wrote to both streams, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("output.log")).unwrap_or_default()
    }

    fn family(&self) -> Vec<u32> {
        self.running
            .as_ref()
            .map(|(child, _)| family(child.id()))
            .unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Gives a private server the operations of [`Server`].
macro_rules! is_a_server {
    ($name:ident) => {
        impl std::ops::Deref for $name {
            type Target = $crate::Server;
            fn deref(&self) -> &Self::Target {
                &self.server
            }
        }
        impl std::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.server
            }
        }
    };
}
pub(super) use is_a_server;

/// Runs a tool to its end and gives back what it printed; panics when it fails or takes longer than a minute.
pub(super) async fn run(command: Command) -> String {
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_mins(1), output)
        .await
        .expect("the tool ends in time")
        .expect("the tool runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "the tool failed: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
