//! The client of Kafka where the program was built without it: it can't be had.

use std::convert::Infallible;
use std::time::Duration;

use super::error::KafkaError;
use super::record::Record;
use super::trouble::Watch;
use crate::messaging::error::PublishError;

/// There is none.
#[derive(Clone)]
pub(super) struct Producer(Infallible);

impl Producer {
    /// Always [`KafkaError::NotBuilt`].
    pub(super) fn connect(_servers: &str, _topic: &str, _watch: Watch) -> Result<Self, KafkaError> {
        Err(KafkaError::NotBuilt)
    }

    pub(super) async fn partitions(&self, _patience: Duration) -> Result<usize, String> {
        match self.0 {}
    }

    pub(super) async fn send(&self, _record: Record) -> Result<(), PublishError> {
        match self.0 {}
    }
}
