//! Where a page is run: a folder with a view of the repository, ports that are free, a Redis of its own, and a RabbitMQ
//! where the page names one.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use test_support::{Folder, Port, PrivateRabbit, PrivateRedis, Process, workspace_binary};

use crate::script::{END, Step, script};

/// The ports that the README names, each with the setting of its address.
const PORTS: [(u16, &str); 7] = [
    (8080, "USER_API__HTTP__ADDRESS"),
    (9080, "USER_API__OPERATIONS__ADDRESS"),
    (8081, "NOTIFICATION_GATEWAY__HTTP__ADDRESS"),
    (9081, "NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS"),
    (9082, "EMAIL_WORKER__OPERATIONS__ADDRESS"),
    (8090, "PROVIDER_SANDBOX__HTTP__ADDRESS"),
    (8025, "MAIL__PAGE_ADDRESS"),
];
/// Where a reader's Redis listens.
const REDIS: u16 = 6379;
/// Where a reader's RabbitMQ listens.
const RABBIT: u16 = 5672;
/// What a checkout has beside its sources.
const NOT_SEEN: [&str; 3] = [".git", ".waypost", "target"];
const PREAMBLE: &str = include_str!("preamble.sh");

pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub(crate) struct Scene {
    folder: Folder,
    ports: Vec<Port>,
    redis: PrivateRedis,
    rabbit: Option<PrivateRabbit>,
    /// What was written after the last step that ended well.
    rest: Mutex<String>,
}

impl Scene {
    pub(crate) async fn open(steps: &[&Step]) -> Self {
        let named = format!("127.0.0.1:{RABBIT}");
        let rabbit = if steps.iter().any(|step| step.commands.contains(&named)) {
            Some(PrivateRabbit::start().await)
        } else {
            None
        };
        let folder = Folder::create();
        for entry in std::fs::read_dir(top()).unwrap() {
            let entry = entry.unwrap();
            if !NOT_SEEN.iter().any(|name| entry.file_name() == *name) {
                symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        Self {
            folder,
            ports: PORTS.iter().map(|_| Port::reserve()).collect(),
            redis: PrivateRedis::start().await,
            rabbit,
            rest: Mutex::default(),
        }
    }

    /// Runs these steps one after the other; gives back what those that ended well have said.
    pub(crate) async fn run(&self, steps: &[&Step], within: Duration) -> Vec<String> {
        let file = self.folder.path().join("page.sh");
        std::fs::write(&file, self.there(&script(PREAMBLE, steps))).unwrap();
        let programs = workspace_binary("guide");
        let mut process = Process::run("bash")
            .arg(&file)
            .env("PROGRAMS", programs.parent().unwrap())
            .env("REDIS_PORT", self.redis.port().to_string())
            .envs(self.settings())
            .folder(self.folder.path())
            .spawn();
        let _ = process.exit(within).await;
        let output = self.back(&process.output());
        let mut said = Vec::new();
        let mut rest = output.as_str();
        while let Some((before, behind)) = rest.split_once(END) {
            said.push(before.to_owned());
            rest = behind.split_once('\n').map_or("", |(_, rest)| rest);
        }
        rest.clone_into(&mut self.rest.lock());
        said
    }

    pub(crate) fn rest(&self) -> String {
        self.rest.lock().clone()
    }

    fn settings(&self) -> Vec<(String, String)> {
        let ports = PORTS.iter().zip(&self.ports);
        let addresses =
            ports.map(|((_, name), port)| (format!("WAYPOST__{name}"), format!("127.0.0.1:{}", port.number())));
        addresses.collect()
    }

    /// Pairs of the port in the page and the port here.
    fn pairs(&self) -> Vec<(String, String)> {
        let own = PORTS
            .iter()
            .zip(&self.ports)
            .map(|((page, _), here)| (*page, here.number()));
        let rabbit = self.rabbit.as_ref().map(|rabbit| (RABBIT, rabbit.port()));
        let pairs = own.chain([(REDIS, self.redis.port())]).chain(rabbit);
        pairs.map(|(page, here)| (page.to_string(), here.to_string())).collect()
    }

    fn there(&self, script: &str) -> String {
        self.pairs()
            .into_iter()
            .fold(script.to_owned(), |script, (page, here)| {
                let script = script.replace(&format!("127.0.0.1:{page}"), &format!("127.0.0.1:{here}"));
                script.replace(&format!("localhost:{page}"), &format!("localhost:{here}"))
            })
    }

    fn back(&self, output: &str) -> String {
        self.pairs()
            .into_iter()
            .fold(output.to_owned(), |output, (page, here)| {
                output.replace(&format!(":{here}"), &format!(":{page}"))
            })
    }
}
