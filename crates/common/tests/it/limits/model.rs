//! Both algorithms as the textbooks have them, and what decides as they do: the function, memory, Redis.

use common::{
    resilience::{Drawn, Quota},
    store::Store,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use test_support::{eventually, redis_url};

use super::fixture::{SOON, open};

const LONGEST_WAIT: i64 = 500_000;

/// Tokens that drip into a bucket; a token is `interval` units.
struct Tokens {
    level: i64,
    at: Option<i64>,
}

impl Tokens {
    fn draw(&mut self, (interval, burst): (i64, i64), now: i64, wanted: i64) -> i64 {
        let full = interval * burst;
        self.level = self.at.map_or(full, |at| (self.level + now - at).min(full));
        self.at = Some(now);
        let mut granted = 0;
        while granted < wanted && self.level >= interval && (granted == 0 || self.level / interval > burst / 5) {
            self.level -= interval;
            granted += 1;
        }
        granted
    }
}

/// A queue with the times at which those in it leave.
#[derive(Default)]
struct Queue(Vec<i64>);

impl Queue {
    /// When it leaves; `None` when there is no room.
    fn join(&mut self, (interval, burst): (i64, i64), now: i64) -> Option<i64> {
        let turn = self.0.last().map_or(now, |last| now.max(last + interval));
        let waiting = self.0.iter().filter(|leaves| **leaves > now).count();
        if (turn > now && waiting >= usize::try_from(burst).unwrap()) || turn - now > LONGEST_WAIT {
            return None;
        }
        self.0.push(turn);
        Some(turn)
    }
}

enum Model {
    Bucket(Tokens),
    Queue(Queue),
}

/// A model, beside the quota that must decide as it does.
struct Both {
    quota: Quota,
    burst: i64,
    model: Model,
}

impl Both {
    fn new(limit: &Limit) -> Self {
        let (quota, model) = if limit.queues {
            let queue = Model::Queue(Queue::default());
            (Quota::leaky_bucket(limit.rate, limit.burst), queue)
        } else {
            let tokens = Model::Bucket(Tokens { level: 0, at: None });
            (Quota::token_bucket(limit.rate, limit.burst), tokens)
        };
        Self {
            quota,
            burst: i64::from(limit.burst),
            model,
        }
    }

    /// Whether the model grants as much, and makes wait as long.
    fn agrees(&mut self, wanted: i64, drawn: &Drawn) -> Result<(), String> {
        let (shape, now) = ((self.quota.interval(), self.burst), drawn.now);
        let (granted, wait) = match &mut self.model {
            Model::Bucket(tokens) => (tokens.draw(shape, now, wanted), 0),
            Model::Queue(queue) => {
                let turns: Vec<_> = (0..wanted).map_while(|_| queue.join(shape, now)).collect();
                let first = turns.first().map_or(0, |turn| turn - now);
                (i64::try_from(turns.len()).unwrap(), first)
            }
        };
        let waits = i64::try_from(self.quota.wait(drawn).as_micros()).unwrap();
        let free = |at| self.quota.free(drawn.arrival, at);
        let next = self.quota.next(drawn.arrival);
        let names_the_next = granted > 0 || (free(next - 1) == 0 && free(next) == 1);
        if drawn.granted != granted || (granted > 0 && waits != wait) || !names_the_next {
            return Err(format!(
                "{drawn:?}: the model grants {granted} of {wanted}, the first after {wait} us"
            ));
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Limit {
    queues: bool,
    rate: f64,
    burst: u32,
}

/// Up to a token in two microseconds; `slowest` is a power of ten, a minute.
fn limits(slowest: f64) -> impl Strategy<Value = Limit> {
    (any::<bool>(), slowest..7.5_f64, 1..50_u32).prop_map(|(queues, power, burst)| Limit {
        queues,
        rate: 10_f64.powf(power),
        burst,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_function_decides_as_the_model(
        limit in limits(1.0),
        asks in prop::collection::vec((prop_oneof![Just(0), 0..2_000_i64, 0..400_000_i64], 1..15_i64), 1..100),
    ) {
        let mut both = Both::new(&limit);
        let (mut now, mut arrival) = (1_000_000, 0);
        for (step, wanted) in asks {
            now += step;
            let drawn = both.quota.draw(arrival, now, wanted);
            arrival = drawn.arrival;
            prop_assert_eq!(both.agrees(wanted, &drawn), Ok(()));
        }
    }
}

/// The store's clock decides, so the model is told what it was. Rates are so high that it matters.
async fn decides_as_the_model(store: &Store, cases: u32) {
    let mut runner = TestRunner::default();
    let asks = prop::collection::vec(1..15_i64, 1..60);
    let (mut granted, mut refused) = (0, 0);
    for case in 0..cases {
        let (limit, asks) = (limits(4.5), &asks).new_tree(&mut runner).unwrap().current();
        let (mut both, key) = (Both::new(&limit), format!("case {case}"));
        for wanted in asks {
            let drawn = store.draw(&key, both.quota, wanted, 0).await.unwrap();
            assert_eq!(both.agrees(wanted, &drawn), Ok(()), "{limit:?}");
            granted += drawn.granted;
            refused += i64::from(drawn.granted == 0);
        }
    }
    println!("{cases} cases: {granted} tokens granted, {refused} draws refused");
    assert!(granted > 0 && refused > 0, "the cases show nothing");
}

#[tokio::test]
async fn redis_decides_as_the_model() {
    decides_as_the_model(&open(&redis_url()).await, 60).await;
}

#[tokio::test]
async fn memory_decides_as_the_model() {
    decides_as_the_model(&open("memory://").await, 1_000).await;
}

/// Each point holds for both backends.
macro_rules! contract {
    ($($point:ident),+ $(,)?) => {
        mod redis { $(#[tokio::test] async fn $point() { super::$point(super::open(&test_support::redis_url()).await).await; })+ }
        mod memory { $(#[tokio::test] async fn $point() { super::$point(super::open("memory://").await).await; })+ }
    };
}

contract!(
    what_was_forgotten_is_learned_again,
    of_many_at_once_no_more_than_the_burst_pass,
    what_is_owed_no_more_is_not_kept,
);

async fn what_was_forgotten_is_learned_again(store: Store) {
    let quota = Quota::token_bucket(1.0, 10);
    let mut drawn = store.draw("kept", quota, 1, 0).await.unwrap();
    for _ in 0..20 {
        drawn = store.draw("kept", quota, 9, drawn.arrival).await.unwrap();
    }
    assert_eq!(drawn.granted, 0);
    // Under another name it is not known, but for what the caller says.
    let told = store.draw("forgotten", quota, 1, drawn.arrival).await.unwrap();
    assert_eq!((told.granted, told.arrival), (0, drawn.arrival));
    let kept = store.draw("forgotten", quota, 1, 0).await.unwrap();
    assert_eq!(kept.granted, 0);
    // An arrival that can't be counts for the furthest that can.
    let absurd = store.draw("absurd", quota, 1, i64::MAX / 4096).await.unwrap();
    assert_eq!(absurd.arrival - absurd.now, quota.ceiling());
}

async fn of_many_at_once_no_more_than_the_burst_pass(store: Store) {
    let quota = Quota::token_bucket(1.0, 25);
    let asks = (0..100).map(|_| store.draw("many", quota, 1, 0));
    let drawn = futures_util::future::try_join_all(asks).await.unwrap();
    assert_eq!(drawn.iter().map(|one| one.granted).sum::<i64>(), 25);
}

async fn what_is_owed_no_more_is_not_kept(store: Store) {
    let slow = Quota::token_bucket(1.0, 10);
    store.draw("stays", slow, 1, 0).await.unwrap();
    // Nine hundredths of a second of debt.
    let quota = Quota::token_bucket(6_000.0, 10);
    store.draw("goes", quota, 9, 0).await.unwrap();
    eventually(SOON, async || store.get("goes").await.unwrap().is_none()).await;
    assert!(store.get("stays").await.unwrap().is_some());
}
