//! `make test-kafka`: the outlet over a real Kafka, read back by Kafka's own console consumer.
//!
//! Not part of `cargo test`: it wants programs with the feature `kafka`, Java, and Kafka's jars, whose folder
//! `WAYPOST_KAFKA_LIBS` names (`scripts/kafka.sh` gets them).
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(
    clippy::print_stdout,
    reason = "what was told, read, lost and doubled is worth a look"
)]

#[path = "../it/client.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use more of it")]
mod client;
mod load;
mod outlet;
mod replica;
mod too_large;
