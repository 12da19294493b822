//! Running a program under test: our binaries, as real processes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::eventually;
use crate::pipe::full_pipe;
use parking_lot::Mutex;

/// Longest wait for a program's last output, after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Path of a binary of this workspace, as the running test's own build made it.
///
/// # Panics
/// When it has not been built: `cargo test --workspace` builds them all, `cargo test -p one` may not.
pub fn workspace_binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let binary = folder.join(name);
    assert!(
        binary.exists(),
        "{} is not built: run `cargo build --workspace --bins` first",
        binary.display()
    );
    binary
}

/// What to run, and how.
#[derive(Debug)]
pub struct ProcessBuilder {
    command: Command,
    stalled: Vec<Stream>,
}

/// One of the streams that a program writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "everybody's words")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl ProcessBuilder {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets several.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// Sets the folder that it runs in.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it a pipe for this stream that is full, and that nobody reads until [`Process::read_on`].
    #[must_use]
    pub fn stalled(mut self, stream: Stream) -> Self {
        self.stalled.push(stream);
        self
    }

    /// Starts it.
    pub fn spawn(self) -> Process {
        let Self { mut command, stalled } = self;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut unread = Vec::new();
        for stream in stalled {
            let (reader, writer) = full_pipe();
            unread.push(reader);
            match stream {
                Stream::Stdout => command.stdout(writer),
                Stream::Stderr => command.stderr(writer),
            };
        }
        let mut child = command.spawn().expect("the program starts");
        let output = Arc::new(Mutex::new(String::new()));
        let readers = [
            collect(child.stdout.take(), &output),
            collect(child.stderr.take(), &output),
        ];
        let guard = Guard::over(child.id());
        Process {
            child,
            output,
            readers: readers.into_iter().flatten().collect(),
            unread,
            _guard: guard,
        }
    }
}

/// Copies lines into the shared text until the program closes the stream.
fn collect(stream: Option<impl Read + Send + 'static>, output: &Arc<Mutex<String>>) -> Option<JoinHandle<()>> {
    let (stream, output) = (stream?, Arc::clone(output));
    Some(std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            output.lock().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }))
}

/// A running program; killed when this value goes, and when the test's own process does.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    unread: Vec<PipeReader>,
    _guard: Guard,
}

impl Process {
    /// Begins to describe one. No `WAYPOST__` variable of the test's own environment reaches it.
    pub fn run(program: impl AsRef<OsStr>) -> ProcessBuilder {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WAYPOST__") {
                command.env_remove(name);
            }
        }
        ProcessBuilder {
            command,
            stalled: Vec::new(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has written so far, both streams.
    pub fn output(&self) -> String {
        self.output.lock().clone()
    }

    /// Begins to read what it was stalled by; it becomes part of the output.
    pub fn read_on(&mut self) {
        for stream in self.unread.drain(..) {
            self.readers.extend(collect(Some(stream), &self.output));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop: SIGTERM.
    pub fn terminate(&self) {
        signal("TERM", &[self.id()]);
    }

    /// Interrupts it: SIGINT.
    pub fn interrupt(&self) {
        signal("INT", &[self.id()]);
    }

    /// Tells it that its terminal has gone: SIGHUP.
    pub fn hang_up(&self) {
        signal("HUP", &[self.id()]);
    }

    /// Stops its time: SIGSTOP.
    pub fn freeze(&self) {
        signal("STOP", &[self.id()]);
    }

    /// Lets its time go on: SIGCONT.
    pub fn thaw(&self) {
        signal("CONT", &[self.id()]);
    }

    /// Kills it, `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself and what it wrote is read.
    ///
    /// # Panics
    /// When it still runs at the deadline, with its output.
    pub async fn exit(&mut self, deadline: Duration) -> ExitStatus {
        let end = std::time::Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state can be read") {
                self.read_to_the_end().await;
                return status;
            }
            assert!(
                std::time::Instant::now() < end,
                "still running after {deadline:?}; it wrote:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all that it wrote is part of the output; not for ever, since a child of its own may hold the streams.
    async fn read_to_the_end(&self) {
        let end = std::time::Instant::now() + LAST_WORDS;
        while !self.readers.iter().all(JoinHandle::is_finished) && std::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until its output holds the text.
    ///
    /// # Panics
    /// When the text has not come at the deadline.
    pub async fn writes(&self, text: &str, deadline: Duration) {
        eventually(deadline, || async { self.output().contains(text) }).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal by name through the shell's `kill` (the workspace forbids `unsafe`, so no libc).
pub(crate) fn signal(name: &str, ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    let _ = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {} 2>/dev/null", ids.join(" ")))
        .status();
}

/// A process and all its descendants, as /proc shows them now.
pub(crate) fn family(id: u32) -> Vec<u32> {
    let mut found = vec![id];
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // "pid (any name) state ppid ..."
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        pairs.extend(parent.map(|parent| (parent, child)));
    }
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(pairs.iter().filter(|(p, _)| *p == parent).map(|(_, c)| *c));
        next += 1;
    }
    found
}

/// Kills a process when the test's own process goes without running its drops (Ctrl-C, SIGKILL).
///
/// A shell in a group of its own waits on a pipe that only the test holds open; its end is the signal.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn over(id: u32) -> Self {
        use std::os::unix::process::CommandExt;
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("read _; kill -KILL {id} 2>/dev/null"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self(shell)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
