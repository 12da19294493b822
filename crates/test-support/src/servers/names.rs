//! Where the nodes of one test find each other.

use std::process::{Child, Command, Stdio};

use crate::Port;
use crate::process::Guard;

/// Erlang's port mapper, of one test's own: a child of ours, so that it goes with the test.
#[derive(Debug)]
pub(super) struct Names {
    port: Port,
    mapper: Child,
    _guard: Guard,
}

impl Names {
    pub(super) fn start() -> Self {
        let port = Port::reserve();
        let mapper = Command::new("epmd")
            .args(["-port", &port.number().to_string()])
            .args(["-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Erlang's epmd; `make services` installs it with RabbitMQ");
        Self {
            _guard: Guard::over(mapper.id()),
            port,
            mapper,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}
