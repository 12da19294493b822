//! A private RabbitMQ.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::names::Names;
use super::server::{Server, is_a_server, run};
use crate::{Authority, Folder, Papers, Port, Shown};

/// Folder of the real start scripts; Debian's wrappers in /usr/sbin insist on root.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// A RabbitMQ node of one test's own, with its own name, ports, data and cookie.
///
/// Boots in about 6 s. A queue that was declared less than a second before a kill may be lost with its
/// messages (a trap of RabbitMQ 3.10): let a second pass before killing it.
#[derive(Debug)]
pub struct PrivateRabbit {
    server: Server,
    node: Node,
    tls: Option<Tls>,
}
is_a_server!(PrivateRabbit);

/// A listener for TLS beside the plain one.
#[derive(Debug)]
struct Tls {
    port: Port,
    papers: Papers,
}

/// What Erlang needs to know a node.
#[derive(Debug)]
struct Node {
    name: String,
    home: std::path::PathBuf,
    distribution_port: Port,
    names: Arc<Names>,
}

impl PrivateRabbit {
    /// Starts one and waits until it speaks AMQP.
    pub async fn start() -> Self {
        let mut rabbit = Self::prepare();
        rabbit.server.start().await;
        rabbit
    }

    /// Starts one that listens over TLS as well, shows such a certificate and waits until it speaks AMQP.
    pub async fn start_with_tls(authority: &Authority, shown: Shown) -> Self {
        let mut rabbit = Self::prepare();
        let folder = &rabbit.node.home;
        let tls = Tls {
            port: Port::reserve(),
            papers: Papers {
                certificate: folder.join("certificate.pem"),
                key: folder.join("key.pem"),
            },
        };
        authority.papers(shown).copy_to(&tls.papers);
        let file = folder.join("rabbitmq.conf");
        let plain = std::fs::read_to_string(&file).expect("its settings");
        let settings = [
            format!("listeners.ssl.1 = 127.0.0.1:{}", tls.port.number()),
            format!("ssl_options.certfile = {}", tls.papers.certificate.display()),
            format!("ssl_options.keyfile = {}", tls.papers.key.display()),
            format!("ssl_options.cacertfile = {}", authority.ca_file().display()),
            "ssl_options.verify = verify_none".to_owned(),
        ];
        std::fs::write(file, plain + &settings.join("\n") + "\n").expect("its settings");
        rabbit.tls = Some(tls);
        rabbit.server.start().await;
        rabbit
    }

    /// Its port for TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls.as_ref().expect("it listens over TLS").port.number()
    }

    /// Shows such a certificate to those who connect over TLS from now on.
    pub async fn show(&self, authority: &Authority, shown: Shown) {
        let tls = self.tls.as_ref().expect("it listens over TLS");
        authority.papers(shown).copy_to(&tls.papers);
        self.control(&["eval", "ssl:clear_pem_cache()."]).await;
    }

    /// One that does not run yet.
    pub fn prepare() -> Self {
        Self::prepare_among(&Arc::new(Names::start()))
    }

    /// The same under a port mapper that other nodes use, so that they find each other by name.
    pub(super) fn prepare_among(names: &Arc<Names>) -> Self {
        let (port, folder) = (Port::reserve(), Folder::create());
        let node = Node {
            name: format!("waypost{}@localhost", port.number()),
            home: folder.path().to_owned(),
            distribution_port: Port::reserve(),
            names: names.clone(),
        };
        std::fs::write(folder.join("enabled_plugins"), "[].\n").expect("a file");
        std::fs::write(
            folder.join("rabbitmq.conf"),
            format!("listeners.tcp.1 = 127.0.0.1:{}\n", port.number()),
        )
        .expect("a file");
        let mut command = node.script("rabbitmq-server");
        command
            // One scheduler that never spins: tests run many nodes on few cores. Nodes are reached from here alone.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
            )
            // Makes the script become the Erlang machine instead of watching over it.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env_remove("NOTIFY_SOCKET");
        let server = Server::new(
            command,
            // The protocol header is answered with a method frame on channel 0.
            (b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00"),
            port,
            folder,
        );
        Self {
            server,
            node,
            tls: None,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port())
    }

    /// Its name, by which others of its cluster know it.
    pub(super) fn name(&self) -> &str {
        &self.node.name
    }

    /// Where it keeps all that it has.
    pub(super) fn home(&self) -> &Path {
        &self.node.home
    }

    /// Runs `rabbitmqctl` against it (1 to 2 s), for example `["close_all_connections", "test"]`.
    pub async fn control(&self, arguments: &[&str]) -> String {
        let mut command = self.node.script("rabbitmqctl");
        command.args(["-q", "-n", &self.node.name]).args(arguments);
        run(command).await
    }
}

impl Node {
    /// A script of RabbitMQ's that sees this node and nothing of the machine's own broker.
    fn script(&self, name: &str) -> Command {
        let path = Path::new(SCRIPTS).join(name);
        let mut command = if path.exists() {
            Command::new(path)
        } else {
            Command::new(name)
        };
        let home = &self.home;
        command
            .env("HOME", home)
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_DIST_PORT", self.distribution_port.number().to_string())
            .env("ERL_EPMD_PORT", self.names.port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            .env("RABBITMQ_PID_FILE", home.join("pid"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", home.join("rabbitmq-env.conf"))
            .current_dir(home);
        command
    }
}
