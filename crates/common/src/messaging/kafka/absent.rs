//! Stands in for Kafka's client in a program that was built without it: it can't be made.

use std::convert::Infallible;
use std::future::Ready;
use std::time::Duration;

use super::error::KafkaError;
use super::record::Record;
use super::trouble::Watch;
use crate::messaging::error::PublishError;

/// A client that nobody can make.
#[derive(Clone)]
pub(super) struct Producer(Infallible);

impl Producer {
    /// Always [`KafkaError::NotBuilt`].
    pub(super) fn connect(_servers: &str, _topic: &str, _watch: Watch) -> Result<Self, KafkaError> {
        Err(KafkaError::NotBuilt)
    }

    pub(super) fn partitions(&self, _patience: Duration) -> Ready<Result<usize, String>> {
        match self.0 {}
    }

    pub(super) fn recall(&self) {
        match self.0 {}
    }

    pub(super) fn send(&self, _record: Record) -> Ready<Result<(), PublishError>> {
        match self.0 {}
    }
}
