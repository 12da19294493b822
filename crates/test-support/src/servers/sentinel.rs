//! A private Redis Sentinel over two private Redis.

use std::process::Command;

use super::{
    redis::PrivateRedis,
    server::{START, Server, is_a_server, run},
};
use crate::{Folder, Port, eventually};

const MASTER: &str = "waypost";

/// A sentinel that watches a master with one replica, and makes the replica the master half a second
/// after it has lost sight of the first.
#[derive(Debug)]
pub struct PrivateSentinel {
    server: Server,
    /// The master at the start, and its replica.
    pub nodes: [PrivateRedis; 2],
    /// The port of the first sentinel in the URL, at which nobody listens.
    nobody: Port,
}
is_a_server!(PrivateSentinel);

impl PrivateSentinel {
    /// Starts all three and waits until the sentinel could fail over.
    pub async fn start() -> Self {
        let master = PrivateRedis::start().await;
        let replica = PrivateRedis::replica_of(&master).await;
        let (port, folder) = (Port::reserve(), Folder::create());
        let file = folder.join("sentinel.conf");
        let settings = [
            format!("port {}", port.number()),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", folder.path().display()),
            format!("sentinel monitor {MASTER} 127.0.0.1 {} 1", master.port()),
            format!("sentinel down-after-milliseconds {MASTER} 500"),
            format!("sentinel failover-timeout {MASTER} 2000"),
        ];
        std::fs::write(&file, settings.join("\n") + "\n").expect("a file in the folder");
        let mut command = Command::new("redis-server");
        command.arg(file).arg("--sentinel");
        let mut sentinel = Self {
            server: Server::new(command, (b"PING\r\n", b"+PONG"), port, folder),
            nodes: [master, replica],
            nobody: Port::reserve(),
        };
        sentinel.server.start().await;
        eventually(START, async || {
            let replicas = sentinel.command(&["SENTINEL", "REPLICAS", MASTER]).await;
            replicas.contains("master-link-status\nok")
        })
        .await;
        sentinel
    }

    /// The address of the master, with two sentinels in it of which the first is not there.
    pub fn url(&self) -> String {
        let (nobody, port) = (self.nobody.number(), self.port());
        format!("redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{port}/{MASTER}/0")
    }

    /// The port of the node that it calls the master.
    pub async fn master(&self) -> u16 {
        let address = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).await;
        let port = address.lines().nth(1).expect("host and port");
        port.parse().expect("a port")
    }

    /// Runs a command on the sentinel and gives back the answer.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port().to_string()]).args(arguments);
        run(command).await
    }
}
