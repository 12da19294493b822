//! What can go wrong between a service and its broker.

use sea_orm::DbErr;

use crate::tls::AuthoritiesError;

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The settings ask for a broker in memory, which can't join several processes.
    #[error(
        "broker.url is memory://, but a memory broker cannot join separate processes; \
         set it to amqp://.. or start everything in one process with `waypost run`"
    )]
    MemoryBetweenProcesses,
    /// The URL is no address of a broker. It holds a password and is not shown.
    #[error(
        "broker.url must be of the form amqp://[user:password@]host:5672,host:5672/vhost, or amqps://; whole URLs may have commas between too"
    )]
    Url,
    /// The file with the authorities to trust can't be used.
    #[error(transparent)]
    CaFile(#[from] AuthoritiesError),
    /// TLS can't be set up.
    #[error("TLS to the broker can't be set up")]
    Tls(#[from] rustls::Error),
    /// The namespace would make names that the broker refuses.
    #[error("broker.namespace must have at most 100 letters, digits, dots, dashes or underscores")]
    Namespace,
}

/// Why a publish was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nothing was sent; in memory, to Kafka and for a sign of life it may have been, and was not confirmed.
    #[error("the broker is away or takes no messages")]
    Unavailable,
    /// It may have arrived. It can be sent again with the same id: the receivers' inboxes drop a copy.
    #[error("the broker did not confirm in time")]
    Unknown,
    /// A queue is full or has no leader, or the broker could not store the message.
    #[error("the broker refused the message")]
    Refused,
    /// No queue took it, not even the one for events that nobody binds: a part of the topology is missing.
    #[error("the broker has no queue for the message")]
    Unroutable,
    /// The message is larger than Kafka's topic takes. Another attempt does not help; a larger limit on the topic does.
    #[error("the message is larger than what is taken there")]
    TooLarge,
}

/// Why dead letters can't be looked at or worked on.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The broker does not answer, or broke off.
    #[error("the broker broke off: {0}")]
    Broker(String),
    /// Another command works on them, and did not end in time.
    #[error("another command works on these dead letters; try again when it has ended")]
    Held,
    /// The broker counted more letters than it handed out.
    #[error("the broker handed out {read} of {total} dead letters; somebody else takes them too")]
    Short {
        /// How many came.
        read: u32,
        /// How many there were.
        total: u32,
    },
    /// The database does not answer, or has no such table.
    #[error("the database did not do it")]
    Database(#[from] DbErr),
    /// The message is not in its queue again; its letter stays where it is.
    #[error("a letter could not be put back into its queue")]
    NotSent(#[from] PublishError),
}
