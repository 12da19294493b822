//! What tests stand on: real servers, databases of their own, and receivers for what goes out.
//!
//! Development only; depends on no crate of ours, so that every crate's tests may use it. Nothing here
//! is a mock: a database is PostgreSQL or SQLite, a private broker is RabbitMQ, a mail goes through a
//! real SMTP conversation. Each test gets names, ports and folders that no other test has, so all of them
//! run in parallel. A test that breaks a server starts a private one and breaks that.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "a test that can't set itself up has failed; tests own the tasks that they start"
)]

mod addresses;
mod amqp;
mod authority;
mod database;
mod folder;
mod namespace;
mod otlp;
mod pipe;
mod plan;
mod process;
mod proxy;
mod servers;
mod smtp;
mod tap;
mod tripwire;
mod wait;

pub use addresses::{Port, amqp_url, postgres_url, redis_url};
pub use amqp::{AmqpClient, AmqpLetter, AmqpMessage, AmqpValue};
pub use authority::{Authority, Papers, Shown};
pub use database::TestDatabase;
pub use folder::Folder;
pub use namespace::Namespace;
pub use otlp::{OtlpReceiver, Span, SpanKind};
pub use plan::Plan;
pub use process::{Process, ProcessBuilder, Stream, workspace_binary};
pub use proxy::{Fault, FaultProxy};
pub use servers::{
    KafkaRecord, PrivateKafka, PrivatePostgres, PrivateRabbit, PrivateRabbitCluster, PrivateRedis, PrivateSentinel,
    PrivateTlsRedis, Server,
};
pub use smtp::{Answer, Mail, SmtpReceiver, Stage};
pub use tap::Tap;
pub use tripwire::{Laid, Point, Tripwire};
pub use wait::{Settled, eventually};
