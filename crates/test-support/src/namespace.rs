//! A name of one test's own for queues and keys.

use uuid::Uuid;

/// A broker namespace, good as a store prefix too.
///
/// Nothing deletes what is declared under it: a process may declare until its very end, and RabbitMQ 3.10 does not
/// bear queues that go while somebody declares them. `make test` throws its whole broker away; on one that
/// stays, a policy has old test queues go (see docs/testing.md).
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    /// One that nobody else has: `t` and twelve hexadecimal digits.
    pub fn unique() -> Self {
        let name = Uuid::now_v7().simple().to_string();
        // The tail is the random part.
        Self(format!("t{}", &name[20..]))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}
