//! A private Redis.

use std::process::Command;

use super::server::{START, Server, is_a_server, run};
use crate::{Folder, Port, eventually};

/// A Redis of one test's own, empty at the start and after every kill.
#[derive(Debug)]
pub struct PrivateRedis {
    server: Server,
}
is_a_server!(PrivateRedis);

impl PrivateRedis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let mut redis = Self::prepare();
        redis.server.start().await;
        redis
    }

    /// Starts one with more arguments, for example `["--cluster-enabled", "yes"]`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let mut redis = Self::prepare_with(arguments);
        redis.server.start().await;
        redis
    }

    /// Starts a replica and waits until it has what its master has.
    pub async fn replica_of(master: &Self) -> Self {
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
        eventually(START, async || {
            let state = replica.command(&["INFO", "replication"]).await;
            state.contains("master_link_status:up")
        })
        .await;
        replica
    }

    /// One that does not run yet.
    pub fn prepare() -> Self {
        Self::prepare_with(&[])
    }

    fn prepare_with(arguments: &[&str]) -> Self {
        let (port, folder) = (Port::reserve(), Folder::create());
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.number().to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            // A replica has its first copy at once.
            .args(["--repl-diskless-sync-delay", "0"])
            .arg("--dir")
            .arg(folder.path())
            .args(arguments);
        Self {
            server: Server::new(command, (b"PING\r\n", b"+PONG"), port, folder),
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Runs a command, for example `["CLIENT", "PAUSE", "1000"]`, and gives back the answer.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port().to_string()]).args(arguments);
        run(command).await
    }
}
