//! Replicas of a limiter over one store, and callers that ask them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    Timestamp,
    config::{Algorithm, RateLimit, Service, Settings},
    limits::{Class, Clock, Decision, Limiter, Subject, Verdict},
    process::Tasks,
    store::{Store, Timeouts},
    telemetry::Metrics,
};
use uuid::Uuid;

pub(super) const SOON: Duration = Duration::from_secs(20);

/// Room for a busy machine: a command that is late must not look like a Redis that is away.
pub(super) const PATIENT: Timeouts = Timeouts {
    response: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

/// A hundred a second, a hundred at once.
pub(super) const LIMIT: RateLimit = RateLimit {
    rate: 6_000.0,
    burst: 100,
    algorithm: Algorithm::TokenBucket,
};

pub(super) async fn open(url: &str) -> Store {
    open_with(url, &format!("test-{}", Uuid::now_v7()), PATIENT).await
}

async fn open_with(url: &str, prefix: &str, timeouts: Timeouts) -> Store {
    let store = Store::open(url, prefix, timeouts, &Tasks::new(Service::UserApi)).unwrap();
    assert!(store.connected(SOON).await);
    store
}

/// One replica, with its metrics.
pub(super) struct Replica {
    pub(super) limiter: Limiter,
    metrics: Metrics,
}

impl Replica {
    /// One whose clock is so many seconds off.
    pub(super) fn new(limit: RateLimit, store: Store, seconds_off: i64) -> Self {
        let mut settings = Settings::for_tests(Service::UserApi);
        settings.limits.read = limit;
        let metrics = Metrics::new(Service::UserApi);
        let clock: Clock = Arc::new(move || Timestamp::now().as_micros() + seconds_off * 1_000_000);
        let limiter = Limiter::with_clock((&settings, Service::UserApi), store, &metrics, clock);
        Self { limiter, metrics }
    }

    pub(super) async fn check(&self, subject: Subject) -> Decision {
        self.limiter.check(Class::Read, subject).await
    }

    pub(super) async fn passes(&self, subject: Subject) -> bool {
        matches!(self.check(subject).await.verdict, Verdict::Pass)
    }

    /// Decisions on reads that came to this.
    pub(super) fn decided(&self, outcome: &str) -> u64 {
        let text = self.metrics.render();
        let is_it = |line: &&str| {
            line.starts_with("waypost_limit_decisions_total")
                && line.contains("class=\"read\"")
                && line.contains(&format!("outcome=\"{outcome}\""))
        };
        let line = text.lines().find(is_it).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// Three replicas over one store, with clocks so many seconds off.
pub(super) async fn three(limit: RateLimit, (url, timeouts): (&str, Timeouts), off: [i64; 3]) -> [Arc<Replica>; 3] {
    let prefix = format!("test-{}", Uuid::now_v7());
    let replica = async |seconds_off| {
        let store = open_with(url, &prefix, timeouts).await;
        Arc::new(Replica::new(limit, store, seconds_off))
    };
    [replica(off[0]).await, replica(off[1]).await, replica(off[2]).await]
}

pub(super) fn anybody() -> Subject {
    Subject::Person(Uuid::now_v7())
}

/// A request that passed: when it was answered, and by which replica.
pub(super) type Passed = (Instant, usize);

/// Has four callers at a time ask each replica, far above the limit, until `end`: what passed, and how long each took.
pub(super) async fn hammer(
    replicas: &[Arc<Replica>; 3],
    subject: Subject,
    end: Instant,
) -> (Vec<Passed>, Vec<Duration>) {
    let callers = (0..12).map(|n| {
        let (replica, at) = (&replicas[n % 3], n % 3);
        async move {
            let (mut passed, mut took) = (Vec::new(), Vec::new());
            while Instant::now() < end {
                let began = Instant::now();
                if replica.passes(subject).await {
                    passed.push((Instant::now(), at));
                }
                took.push(began.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (passed, took)
        }
    });
    let all = futures_util::future::join_all(callers).await;
    let (passed, took): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    (passed.concat(), took.concat())
}

/// What a hundred a second come to in this time.
pub(super) fn by_rate(span: Duration) -> f64 {
    span.as_secs_f64() * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "a test counts to some thousands")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}
