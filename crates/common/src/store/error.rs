//! Why a store can't be opened, and why an operation on it does not happen.
//!
//! Both backends answer in these words.

use deadpool_redis::redis::RedisError;

/// Why a store operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection stands, or the breaker is open; said at once, without waiting.
    #[error("the store is away")]
    Away,
    /// The server did not answer in time; whether the operation took effect is unknown.
    #[error("the store did not answer in time")]
    TimedOut,
    /// The server answered with an error.
    #[error("the store refused the operation")]
    Refused(#[source] RedisError),
}

/// Why a store could not be set up from its settings.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL's scheme is none that a store speaks.
    #[error("store.url: the scheme `{0}` is not known; use redis:// or memory://")]
    Scheme(String),
    /// The URL is not one that the Redis client takes.
    #[error("store.url: not a usable Redis address")]
    Address(#[source] RedisError),
    /// The connection pool refused its settings.
    #[error("store.url: the connection pool could not be built")]
    Pool(#[source] deadpool_redis::BuildError),
}
