//! Private RabbitMQ nodes that are one cluster.

use std::fs::{Permissions, set_permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::names::Names;
use super::rabbit::PrivateRabbit;
use crate::Namespace;

/// Three nodes of one test's own on one machine, each with its own ports and data: a quorum queue has a copy on each.
///
/// Boots in about 30 s. As of a single node, a queue that was declared less than a second before a kill may be lost.
#[derive(Debug)]
pub struct PrivateRabbitCluster {
    /// The nodes; each may be killed, frozen and started again.
    pub nodes: [PrivateRabbit; 3],
}

impl PrivateRabbitCluster {
    /// Starts the nodes and waits until each speaks AMQP and knows the others.
    pub async fn start() -> Self {
        let names = Arc::new(Names::start());
        let mut nodes = [(); 3].map(|()| PrivateRabbit::prepare_among(&names));
        let peer = |(n, node): (usize, &PrivateRabbit)| {
            let name = node.name();
            format!("cluster_formation.classic_config.nodes.{n} = {name}\n")
        };
        let peers: Vec<_> = (1..).zip(&nodes).map(peer).collect();
        // One secret for all, of this test alone.
        let cookie = Namespace::unique();
        for node in &mut nodes {
            let file = node.home().join(".erlang.cookie");
            std::fs::write(&file, cookie.name()).expect("a file");
            set_permissions(&file, Permissions::from_mode(0o400)).expect("the cookie is closed");
            let mut settings = std::fs::File::options()
                .append(true)
                .open(node.home().join("rabbitmq.conf"))
                .expect("its settings");
            let backend = "cluster_formation.peer_discovery_backend = classic_config\n";
            settings
                .write_all((backend.to_owned() + &peers.concat()).as_bytes())
                .expect("its settings");
            node.launch();
        }
        // A node joins before it listens.
        for node in &nodes {
            node.ready().await;
        }
        let cluster = Self { nodes };
        let known = cluster.nodes[0]
            .control(&["eval", "length(rabbit_nodes:all_running())."])
            .await;
        assert_eq!(known.trim(), "3", "the nodes are no cluster");
        cluster
    }

    /// The addresses of all nodes in one URL.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("amqp://guest:guest@{}/%2f", hosts.join(","))
    }

    /// Which node leads a queue, as another node says; `asked` must run.
    pub async fn leader(&self, queue: &str, asked: usize) -> usize {
        let listed = self.nodes[asked].control(&["list_queues", "name", "leader"]).await;
        let leads = |line: &str| {
            line.split_once('\t')
                .filter(|(name, _)| *name == queue)
                .map(|(_, by)| by.to_owned())
        };
        let leader = listed.lines().find_map(leads).unwrap_or_default();
        let leader = self.nodes.iter().position(|node| node.name() == leader);
        leader.unwrap_or_else(|| panic!("no node leads {queue}:\n{listed}"))
    }
}
