//! Why there is no outlet to Kafka.

/// Why there is no outlet to Kafka. It is no error that Kafka is away: the outlet waits for it.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The settings name no Kafka: there is nothing to open.
    #[error("outlets.kafka.url is empty: there is no outlet to Kafka")]
    Off,
    /// The settings name a Kafka, and the program can't speak to one.
    #[error(
        "outlets.kafka.url is set, but this program was built without the client of Kafka; \
         build it with `cargo build --release --workspace --features kafka`, or leave the setting empty"
    )]
    NotBuilt,
    /// The client refuses its own settings.
    #[error("the client of Kafka can't be set up: {0}")]
    Client(String),
}
