//! Decides whether a request is within its limit.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::held::{Held, Step};
use super::shared_rate::verdict;
use super::subject::Counted;
use super::{Class, Decision, Policy, Subject, Verdict};
use crate::Timestamp;
use crate::config::{Algorithm, Service, Settings};
use crate::resilience::{Quota, micros};
use crate::store::Store;
use crate::telemetry::Metrics;

/// What the callers of one service may take: some 40,000. With more, one that was not seen lately is forgotten.
const TABLE_BYTES: u64 = 8 << 20;
/// What one of them takes, with its place in the table.
const CALLER_BYTES: u64 = 200;
/// A caller's tokens come by the tenth of a burst.
const BATCHES: i64 = 10;

/// A clock in microseconds, from any beginning: each process may have its own.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The limits of one service, and its callers. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    service: Service,
    store: Store,
    rules: [Rule; Class::ALL.len()],
    callers: Cache<Counted, Arc<Mutex<Held>>, Weight, RandomState>,
    clock: Clock,
    /// How far the store's clock is ahead of ours, in microseconds; too far by the time that the question took to get
    /// there, so that tokens in hand end early rather than late.
    ahead: AtomicI64,
}

struct Rule {
    quota: Quota,
    /// Tokens that are drawn at a time.
    batch: i64,
    counters: Counters,
}

/// Decisions of one class, by what came of them.
struct Counters {
    leased: Counter,
    drawn: Counter,
    alone: Counter,
    delayed: Counter,
    refused: Counter,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Counted, Arc<Mutex<Held>>> for Weight {
    fn weight(&self, _: &Counted, _: &Arc<Mutex<Held>>) -> u64 {
        CALLER_BYTES
    }
}

impl Limiter {
    /// The limits that the settings have for `service`, kept in `store` and counted in `metrics`.
    pub fn new(settings: &Settings, service: Service, store: Store, metrics: &Metrics) -> Self {
        // Near the store's clock before it was ever asked; monotonic from then on.
        let (started, at) = (Instant::now(), Timestamp::now().as_micros());
        let clock = move || at + i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX / 2);
        Self::with_clock((settings, service), store, metrics, Arc::new(clock))
    }

    /// The same by another clock of this process.
    pub fn with_clock(
        (settings, service): (&Settings, Service),
        store: Store,
        metrics: &Metrics,
        clock: Clock,
    ) -> Self {
        let rules = Class::ALL.map(|class| {
            let limit = class.limit(&settings.limits, settings.profile);
            let quota = match limit.algorithm {
                Algorithm::TokenBucket => Quota::token_bucket(limit.rate, limit.burst),
                Algorithm::LeakyBucket => Quota::leaky_bucket(limit.rate, limit.burst),
            };
            // A turn in a queue can't be drawn ahead, and a store in memory costs no round trip.
            let is_alone = quota.spaces() || !store.is_shared();
            let count = |outcome| metrics.limit_decisions(class.name(), limit.algorithm.name(), outcome);
            Rule {
                quota,
                batch: if is_alone {
                    1
                } else {
                    (quota.capacity() / BATCHES).max(1)
                },
                counters: Counters {
                    leased: count("leased"),
                    drawn: count("drawn"),
                    alone: count("alone"),
                    delayed: count("delayed"),
                    refused: count("refused"),
                },
            }
        });
        let callers = usize::try_from(TABLE_BYTES / CALLER_BYTES).unwrap_or(usize::MAX);
        Self(Arc::new(Inner {
            service,
            store,
            rules,
            callers: Cache::with(
                callers,
                TABLE_BYTES,
                Weight,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
            clock,
            ahead: AtomicI64::new(0),
        }))
    }

    /// Decides on one request. Waits for nothing but the store, and for that no longer than for any command.
    ///
    /// # Cancel safety
    /// A caller that goes away while the store is asked has used its tokens.
    pub async fn check(&self, class: Class, subject: Subject) -> Decision {
        let rule = &self.0.rules[class as usize];
        let counted = Counted { class, subject };
        let held = self.held(&counted);
        let asked = (self.0.clock)();
        match rule.at_once(&held, asked + self.ahead()) {
            Ok(decision) => decision,
            // In a box, so that a request with a token in hand does not carry the room that the others need.
            Err(draw) => Box::pin(self.draw((rule, &counted), &held, asked, draw)).await,
        }
    }

    /// Asks the store. `asked` is when the request came, by the clock of this process.
    async fn draw(
        &self,
        (rule, counted): (&Rule, &Counted),
        held: &Mutex<Held>,
        asked: i64,
        (wanted, known): (i64, i64),
    ) -> Decision {
        let key = counted.key(self.0.service);
        let answer = self.0.store.draw(&key, rule.quota, wanted, known).await;
        let mut held = lock(held);
        let (drawn, passed) = if let Ok(drawn) = answer {
            self.0.ahead.store(drawn.now - asked, Ordering::Relaxed);
            held.keep(rule.quota, &drawn);
            (drawn, &rule.counters.drawn)
        } else {
            let now = (self.0.clock)() + self.ahead();
            (held.draw_alone(rule.quota, now), &rule.counters.alone)
        };
        let verdict = verdict(rule.quota, &drawn);
        match verdict {
            Verdict::Pass => passed.inc(),
            Verdict::Wait(_) => rule.counters.delayed.inc(),
            Verdict::Refuse(_) => rule.counters.refused.inc(),
        };
        decision(&held, rule.quota, drawn.now, verdict)
    }

    /// Whether it is known here, without asking the store, that the subject's next request is refused. Takes nothing.
    pub fn is_used_up(&self, class: Class, subject: Subject) -> bool {
        let counted = Counted { class, subject };
        let Some(held) = self.0.callers.get(&counted) else {
            return false;
        };
        let now = (self.0.clock)() + self.ahead();
        lock(&held)
            .refused_until(self.0.rules[class as usize].quota, now)
            .is_some()
    }

    /// The limit of a class, as callers are told of it.
    pub fn policy(&self, class: Class) -> Policy {
        let quota = self.0.rules[class as usize].quota;
        Policy {
            quota: quota.capacity(),
            window: micros(quota.capacity() * quota.interval()),
        }
    }

    /// How many callers are held at present.
    pub fn callers(&self) -> usize {
        self.0.callers.len()
    }

    fn ahead(&self) -> i64 {
        self.0.ahead.load(Ordering::Relaxed)
    }

    fn held(&self, counted: &Counted) -> Arc<Mutex<Held>> {
        if let Some(held) = self.0.callers.get(counted) {
            return held;
        }
        let first = || Ok::<_, Infallible>(Arc::default());
        let Ok(held) = self.0.callers.get_or_insert_with(counted, first);
        held
    }
}

impl Rule {
    /// What can be said without the store; otherwise how many tokens to draw there, and what it must not have forgotten.
    fn at_once(&self, held: &Mutex<Held>, now: i64) -> Result<Decision, (i64, i64)> {
        let mut held = lock(held);
        match held.step(self.quota, now, self.batch) {
            Step::Pass => {
                self.counters.leased.inc();
                Ok(decision(&held, self.quota, now, Verdict::Pass))
            }
            Step::Refuse { until } => {
                self.counters.refused.inc();
                Ok(decision(&held, self.quota, now, Verdict::Refuse(micros(until - now))))
            }
            Step::Draw { wanted, known } => Err((wanted, known)),
        }
    }
}

fn decision(held: &Held, quota: Quota, now: i64, verdict: Verdict) -> Decision {
    Decision {
        verdict,
        remaining: held.remaining(quota, now),
        whole_after: micros(held.whole_at() - now),
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock()
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter")
            .field("service", &self.0.service)
            .field("callers", &self.callers())
            .finish_non_exhaustive()
    }
}
