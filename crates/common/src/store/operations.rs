//! What a store can do, on whichever backend its URL names.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    OpenError, StoreError, Timeouts, Versioned, address::Address, dialer::Dialer, memory::Memory, redis::Redis,
    subscription::Subscription, versioned,
};
use crate::{
    config::Settings,
    process::{Finding, State, Tasks},
    resilience::{Breaker, Drawn, Quota},
    telemetry::Metrics,
    tls::Authorities,
};

/// Shared short-lived state: Redis, or memory in an embedded process.
///
/// Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    prefix: Arc<str>,
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Redis(Redis),
    Memory(Arc<Memory>),
}

impl Store {
    /// Opens the store that the settings name. Connecting goes on in the background.
    ///
    /// # Errors
    /// When the URL is not one of a store, or `store.ca_file` can't be used; a server that is away is no error.
    pub fn connect(settings: &Settings, tasks: &Tasks, metrics: &Metrics) -> Result<Self, OpenError> {
        let timeouts = Timeouts {
            response: settings.store.response_timeout,
            ..Timeouts::default()
        };
        let roots = Authorities::read("store.ca_file", &settings.store.ca_file)?;
        let address = Address::parse(&settings.store.url, roots)?;
        let mut store = Self::at(address, &settings.store.prefix, timeouts, tasks)?;
        if let Backend::Redis(redis) = &mut store.backend {
            redis.count_in(metrics.clone());
        }
        Ok(store)
    }

    /// Opens the store at `url`, whose commands nobody counts; every key gets `prefix` in front.
    ///
    /// # Errors
    /// As [`Store::connect`].
    pub fn open(url: &str, prefix: &str, timeouts: Timeouts, tasks: &Tasks) -> Result<Self, OpenError> {
        Self::at(Address::parse(&url.into(), None)?, prefix, timeouts, tasks)
    }

    fn at(address: Address, prefix: &str, timeouts: Timeouts, tasks: &Tasks) -> Result<Self, OpenError> {
        let backend = match Dialer::new(address, timeouts)? {
            Some(dialer) => Backend::Redis(Redis::new(dialer, timeouts, tasks)),
            None => Backend::Memory(Arc::new(Memory::default())),
        };
        Ok(Self {
            prefix: normal_prefix(prefix).into(),
            backend,
        })
    }

    /// Says whether the store answers at present. Never waits.
    pub fn state(&self) -> State {
        match &self.backend {
            Backend::Redis(redis) if !redis.answers() => State::Down,
            Backend::Redis(_) | Backend::Memory(_) => State::Up,
        }
    }

    /// As [`Store::state`], with what to do where that is known.
    pub fn finding(&self) -> Finding {
        match &self.backend {
            Backend::Redis(redis) if !redis.answers() => Finding {
                cure: redis.cure().map(Into::into),
                ..State::Down.into()
            },
            Backend::Redis(_) | Backend::Memory(_) => State::Up.into(),
        }
    }

    /// Waits until the store answers, `within` at the longest; says whether it does.
    ///
    /// For a start that would rather not begin with cache misses, and for tests.
    pub async fn connected(&self, within: Duration) -> bool {
        match &self.backend {
            Backend::Redis(redis) => redis.connected(within).await,
            Backend::Memory(_) => true,
        }
    }

    /// Gives this thread a connection of its own, if it has a runtime that can drive it: its commands then wake no other
    /// thread. For a thread that serves requests, once; some commands go over the shared connections until it stands.
    pub fn connect_this_thread(&self) {
        match &self.backend {
            Backend::Redis(redis) => redis.connect_this_thread(),
            Backend::Memory(_) => {}
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.get(&key).await,
            Backend::Memory(memory) => Ok(memory.get(&key)),
        }
    }

    /// Writes a value that lives for `ttl`.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.set(&key, value, ttl).await,
            Backend::Memory(memory) => {
                memory.set(key, value, ttl);
                Ok(())
            }
        }
    }

    /// Writes a value unless the key has one; says whether it was written.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.set_if_absent(&key, value, ttl).await,
            Backend::Memory(memory) => Ok(memory.set_if_absent(key, value, ttl)),
        }
    }

    /// Deletes a key if its value is `expected`; says whether it was.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn compare_and_delete(&self, key: &str, expected: &[u8]) -> Result<bool, StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.compare_and_delete(&key, expected).await,
            Backend::Memory(memory) => Ok(memory.compare_and_delete(&key, expected)),
        }
    }

    /// Reads what [`Store::put_if_newer`] or [`Store::tombstone`] wrote.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn get_versioned(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        Ok(self.get(key).await?.and_then(versioned::decode))
    }

    /// Writes a value under its version, unless what stands there is newer; says whether it did.
    ///
    /// The same version is written again; over a tombstone only a higher one is.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn put_if_newer(&self, key: &str, version: u64, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let encoded = versioned::encode(version, Some(value));
        self.write_versioned(key, &encoded, ttl).await
    }

    /// Marks a key as gone as of `version`, so that no slow reader brings the old value back.
    ///
    /// Says whether it did: not when something newer, or a mark of this version, stands there.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn tombstone(&self, key: &str, version: u64, ttl: Duration) -> Result<bool, StoreError> {
        let encoded = versioned::encode(version, None);
        self.write_versioned(key, &encoded, ttl).await
    }

    /// Lets a value live `ttl` from now if it is `expected`; says whether it was.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn compare_and_extend(&self, key: &str, expected: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.compare_and_extend(&key, expected, ttl).await,
            Backend::Memory(memory) => Ok(memory.compare_and_extend(&key, expected, ttl)),
        }
    }

    /// Deletes what was written under a version below `version`, or under none.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn drop_older(&self, key: &str, version: u64) -> Result<(), StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.drop_older(&key, version).await,
            Backend::Memory(memory) => {
                memory.drop_older(&key, version);
                Ok(())
            }
        }
    }

    /// Draws up to `wanted` tokens of the limit `quota` that is kept at `key`, by the store's own clock.
    ///
    /// `known` is the furthest arrival, in microseconds, that the caller has seen there; 0 is none. A store that has
    /// forgotten it learns it again.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn draw(&self, key: &str, quota: Quota, wanted: i64, known: i64) -> Result<Drawn, StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.draw(&key, quota, wanted, known).await,
            Backend::Memory(memory) => Ok(memory.draw(key, quota, wanted, known)),
        }
    }

    /// Tells everybody who listens to `channel` now. Who does not hears nothing of it later.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        let channel = self.full(channel);
        match &self.backend {
            Backend::Redis(redis) => redis.publish(&channel, message).await,
            Backend::Memory(memory) => {
                memory.publish(channel, message);
                Ok(())
            }
        }
    }

    /// Listens to `channel` over a connection of its own, which is dialled here: that may take half a second, and longer
    /// where sentinels are asked first.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn subscribe(&self, channel: &str) -> Result<Subscription, StoreError> {
        let channel = self.full(channel);
        match &self.backend {
            Backend::Redis(redis) => redis.subscribe(&channel).await,
            Backend::Memory(memory) => Ok(memory.subscribe(channel)),
        }
    }

    /// A number for the server that answers now. It is another one after a restart, or when another server took over:
    /// what stands in the store may then be old. It is 1 where no server tells its own.
    ///
    /// # Errors
    /// When the store is away, slow or refuses.
    pub async fn incarnation(&self) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Redis(redis) => redis.incarnation().await,
            Backend::Memory(_) => Ok(1),
        }
    }

    /// The breaker before Redis; memory has none.
    pub fn breaker(&self) -> Option<&Arc<Breaker>> {
        match &self.backend {
            Backend::Redis(redis) => Some(redis.breaker()),
            Backend::Memory(_) => None,
        }
    }

    /// Whether other processes may hold something in it, too.
    pub fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Redis(_))
    }

    /// Whether it has answered without a break for a second: time enough for everybody to repair in it what they
    /// could not write while it was away.
    pub fn is_settled(&self) -> bool {
        match &self.backend {
            Backend::Redis(redis) => redis.is_settled(),
            Backend::Memory(_) => true,
        }
    }

    async fn write_versioned(&self, key: &str, encoded: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let key = self.full(key);
        match &self.backend {
            Backend::Redis(redis) => redis.put_if_newer(&key, encoded, ttl).await,
            Backend::Memory(memory) => Ok(memory.put_if_newer(key, encoded, ttl)),
        }
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// A prefix that does not end in a separator of its own gets a colon, as Redis keys have it.
fn normal_prefix(prefix: &str) -> String {
    match prefix.chars().last() {
        None | Some(':' | '.' | '/' | '-' | '_') => prefix.to_owned(),
        Some(_) => format!("{prefix}:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_told_from_the_key_by_a_colon_unless_it_brings_its_own() {
        assert_eq!(normal_prefix(""), "");
        assert_eq!(normal_prefix("blue"), "blue:");
        assert_eq!(normal_prefix("blue:"), "blue:");
        assert_eq!(normal_prefix("blue."), "blue.");
    }
}
