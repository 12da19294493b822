//! Why a store can't be opened, and why an operation on it does not happen.
//!
//! Both backends answer in these words.

use deadpool_redis::redis::RedisError;

use crate::tls::AuthoritiesError;

/// What to use instead of a cluster.
pub(super) const CLUSTER_CURE: &str = "set store.url to a single Redis (redis://, rediss://) or to sentinels (redis+sentinel://host:26379,host:26379/master)";

/// Why a store operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection stands or the breaker is open, which is said at once; or the connection broke, or its node takes no
    /// writes now. After a break it is unknown whether the operation took effect.
    #[error("the store is away")]
    Away,
    /// The server did not answer in time, or too many commands were under way; whether the operation took effect is
    /// unknown.
    #[error("the store did not answer in time")]
    TimedOut,
    /// The server answered with an error.
    #[error("the store refused the operation")]
    Refused(#[source] RedisError),
}

/// Why a store could not be set up from its settings.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL does not begin with a scheme.
    #[error("store.url: no scheme in front; use {SCHEMES}")]
    NoScheme,
    /// The URL's scheme is none that a store speaks.
    #[error("store.url: the scheme `{0}` is not known; use {SCHEMES}")]
    Scheme(String),
    /// The URL names a cluster.
    #[error("store.url: Redis Cluster is not supported: {CLUSTER_CURE}")]
    Cluster,
    /// The URL asks for TLS without a look at the certificate.
    #[error("store.url: certificates are always checked; leave out `#insecure` and set store.ca_file")]
    Unchecked,
    /// The URL is not one that the Redis client takes.
    #[error("store.url: not a usable Redis address")]
    Address(#[source] RedisError),
    /// The URL of the sentinels is not whole.
    #[error("store.url: {0}; the form is redis+sentinel://[user:password@]host:26379,host:26379/master[/database]")]
    Sentinel(&'static str),
    /// The file with the authorities to trust can't be used.
    #[error(transparent)]
    CaFile(#[from] AuthoritiesError),
    /// The connection pool refused its settings.
    #[error("store.url: the connection pool could not be built")]
    Pool(#[source] deadpool_redis::BuildError),
}

const SCHEMES: &str = "redis://, rediss://, redis+sentinel:// or memory://";
