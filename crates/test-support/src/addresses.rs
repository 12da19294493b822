//! Where the shared test servers are, and ports that nobody else has.

use std::fs::{File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use uuid::Uuid;

fn from_environment(variable: &str, standard: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| standard.to_owned())
}

/// The PostgreSQL that all tests share; a test makes a database of its own in it.
pub fn postgres_url() -> String {
    from_environment(
        "WAYPOST_TEST_POSTGRES_URL",
        "postgres://postgres@127.0.0.1:5432/postgres",
    )
}

/// The Redis that all tests share; a test puts a prefix of its own before its keys.
pub fn redis_url() -> String {
    from_environment("WAYPOST_TEST_REDIS_URL", "redis://127.0.0.1:6379")
}

/// The RabbitMQ that all tests share; a test uses a namespace of its own.
pub fn amqp_url() -> String {
    from_environment("WAYPOST_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
}

/// A free TCP port on 127.0.0.1 that no other test takes for as long as this value lives.
///
/// It lies below the range from which Linux takes the ports of outgoing connections. A lock on a file reserves it across
/// processes, so that a server may be stopped and started again on it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reserved: File,
}

impl Port {
    /// Reserves one from 20000 to 31999.
    pub fn reserve() -> Self {
        let folder = std::env::temp_dir().join("waypost-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for port locks");
        // Other users of the machine need the folder, too. Only its owner may open it to them, so a failure is no matter.
        let _ = std::fs::set_permissions(&folder, Permissions::from_mode(0o1777));
        for _ in 0..1000 {
            let [.., high, low] = *Uuid::now_v7().as_bytes();
            let number = 20_000 + u16::from_be_bytes([high, low]) % 12_000;
            let Ok(file) = File::create(folder.join(number.to_string())) else {
                continue; // somebody else's lock file
            };
            if file.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self {
                    number,
                    _reserved: file,
                };
            }
        }
        panic!("no free port between 20000 and 32000");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
