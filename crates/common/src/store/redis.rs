//! The store on Redis: each operation is one command, or one script with one key.
//!
//! One key a script, so that it would also run on a cluster. Expiry is in milliseconds; the server's
//! clock decides it.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use deadpool_redis::redis::{RedisResult, Script, aio::MultiplexedConnection, cmd};
use tokio::runtime::Handle;

use super::{StoreError, Timeouts, dialer::Dialer, draw::draw, slots::Slots, subscription::Subscription, versioned};
use crate::{
    process::Tasks,
    resilience::{Breaker, BreakerState, Bulkhead, Drawn, Quota},
    telemetry::Metrics,
};

/// Commands at a time: more would only wait for each other on the connections.
const PLACES: usize = 256;

/// Deletes the key if its value is the one given: the end of a lock by its owner alone.
static COMPARE_AND_DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
         return 0",
    )
});

/// `versioned::may_replace`, on the server. The digits have one width, so they compare as text.
static PUT_IF_NEWER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "local have = redis.call('GETRANGE', KEYS[1], 0, {header} - 1)
         if #have == {header} and string.sub(have, 1, 3) == '{mark}' then
             local current, offered = string.sub(have, 4, 22), string.sub(ARGV[1], 4, 22)
             if current > offered then return 0 end
             if current == offered and string.sub(have, 24, 24) == 't' then return 0 end
         end
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
         return 1",
        header = versioned::HEADER,
        mark = versioned::MARK,
    ))
});

/// Lets the value live longer if it is the one given: the renewal of a lock by its owner alone.
static COMPARE_AND_EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
         return 0",
    )
});

/// Deletes a versioned value that is older than the version given, in 19 digits.
static DROP_OLDER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "local have = redis.call('GETRANGE', KEYS[1], 0, {header} - 1)
         if #have == {header} and string.sub(have, 1, 3) == '{mark}' and string.sub(have, 4, 22) >= ARGV[1] then
             return 0
         end
         return redis.call('DEL', KEYS[1])",
        header = versioned::HEADER,
        mark = versioned::MARK,
    ))
});

#[derive(Clone)]
pub(super) struct Redis {
    dialer: Dialer,
    slots: Slots,
    metrics: Option<Metrics>,
    bulkhead: Bulkhead,
    /// How long a command waits for its place: as long as for its answer.
    patience: Duration,
}

impl Redis {
    pub(super) fn new(dialer: Dialer, timeouts: Timeouts, tasks: &Tasks) -> Self {
        let slots = Slots::new(dialer.clone(), timeouts);
        let upkeep = slots.clone();
        tasks.spawn("store", upkeep.keep_connected(tasks.stopping().clone()));
        Self {
            dialer,
            slots,
            metrics: None,
            bulkhead: Bulkhead::new(PLACES),
            patience: timeouts.response,
        }
    }

    pub(super) fn breaker(&self) -> &Arc<Breaker> {
        self.slots.breaker()
    }

    /// Counts every command in `metrics`, and shows the breaker there.
    pub(super) fn count_in(&mut self, metrics: Metrics) {
        let slots = self.slots.clone();
        metrics.at_each_reading(move |metrics| metrics.breaker_state("redis", slots.breaker_state().level()));
        self.bulkhead.show_in(&metrics, "redis");
        self.metrics = Some(metrics);
    }

    /// Runs one command and counts it, unless there was no connection to send it on.
    async fn run<T, F, R>(&self, command: &'static str, call: F) -> Result<T, StoreError>
    where
        F: FnOnce(MultiplexedConnection) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        // To the caller it is the same whether its command or its place did not come in time: it goes on without.
        let place = self.bulkhead.enter_within(self.patience).await;
        let _place = place.ok_or(StoreError::TimedOut)?;
        let began = Instant::now();
        let answer = self.slots.run(call).await;
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(StoreError::TimedOut) => "timed_out",
            Err(StoreError::Refused(_)) => "refused",
            Err(StoreError::Away) => return answer,
        };
        if let Some(metrics) = &self.metrics {
            metrics.store_command(command, outcome, began.elapsed());
        }
        answer
    }

    /// Whether a command would be sent at present, and on a connection that stands.
    pub(super) fn answers(&self) -> bool {
        self.slots.is_connected() && self.slots.breaker_state() != BreakerState::Open
    }

    pub(super) fn connect_this_thread(&self) {
        if let Ok(home) = Handle::try_current() {
            self.slots.take_own(home);
        }
    }

    /// What is to be done about what was found at the address, where that is known.
    pub(super) fn cure(&self) -> Option<&'static str> {
        self.slots.cure()
    }

    pub(super) async fn connected(&self, within: Duration) -> bool {
        self.slots.connected(within).await
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let value: Option<Vec<u8>> = self
            .run("get", async |mut c| cmd("GET").arg(key).query_async(&mut c).await)
            .await?;
        Ok(value.map(Bytes::from))
    }

    pub(super) async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        self.run("set", async |mut c| {
            let mut set = cmd("SET");
            set.arg(key).arg(value).arg("PX").arg(milliseconds(ttl));
            set.query_async(&mut c).await
        })
        .await
    }

    pub(super) async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let answer: Option<String> = self
            .run("set_if_absent", async |mut c| {
                let mut set = cmd("SET");
                set.arg(key).arg(value).arg("NX");
                set.arg("PX").arg(milliseconds(ttl));
                set.query_async(&mut c).await
            })
            .await?;
        Ok(answer.is_some())
    }

    pub(super) async fn compare_and_delete(&self, key: &str, expected: &[u8]) -> Result<bool, StoreError> {
        let mut call = COMPARE_AND_DELETE.key(key);
        call.arg(expected);
        self.run("compare_and_delete", async |mut c| call.invoke_async(&mut c).await)
            .await
    }

    pub(super) async fn compare_and_extend(
        &self,
        key: &str,
        expected: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let mut call = COMPARE_AND_EXTEND.key(key);
        call.arg(expected).arg(milliseconds(ttl));
        self.run("compare_and_extend", async |mut c| call.invoke_async(&mut c).await)
            .await
    }

    pub(super) async fn drop_older(&self, key: &str, version: u64) -> Result<(), StoreError> {
        let mut call = DROP_OLDER.key(key);
        call.arg(versioned::digits(version));
        self.run("drop_older", async |mut c| call.invoke_async::<()>(&mut c).await)
            .await
    }

    pub(super) async fn draw(&self, key: &str, quota: Quota, wanted: i64, known: i64) -> Result<Drawn, StoreError> {
        let call = draw(key, quota, wanted, known);
        let (granted, arrival, now) = self.run("draw", async |mut c| call.invoke_async(&mut c).await).await?;
        Ok(Drawn { granted, arrival, now })
    }

    pub(super) async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        self.run("publish", async |mut c| {
            cmd("PUBLISH").arg(channel).arg(message).query_async(&mut c).await
        })
        .await
    }

    pub(super) async fn subscribe(&self, channel: &str) -> Result<Subscription, StoreError> {
        let client = self.dialer.client().await.map_err(|_| StoreError::Away)?;
        Subscription::begin(client.get_async_pubsub(), channel).await
    }

    /// The server's own number, which it makes at each start.
    pub(super) async fn incarnation(&self) -> Result<u64, StoreError> {
        let asked = self.run("info", async |mut c| {
            cmd("INFO").arg("server").query_async(&mut c).await
        });
        let info: String = match asked.await {
            // A user that may not ask is no reason to do without the store.
            Err(StoreError::Refused(_)) => String::new(),
            answer => answer?,
        };
        let id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let number = id.and_then(|id| u64::from_str_radix(id.get(..16)?, 16).ok());
        // A service that hides it is taken for one that is never started anew.
        Ok(number.unwrap_or(1))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.slots.is_settled()
    }

    pub(super) async fn put_if_newer(&self, key: &str, encoded: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let mut call = PUT_IF_NEWER.key(key);
        call.arg(encoded).arg(milliseconds(ttl));
        self.run("put_if_newer", async |mut c| call.invoke_async(&mut c).await)
            .await
    }
}

/// At least one: Redis refuses an expiry of zero.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}
