//! The limit before a queue with servers, by a clock of its own: what an overload does, and that the limit comes back.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::gradient::as_f64;
use super::*;

/// Requests that begin at random moments, and servers that take them in their order.
struct World {
    now: Instant,
    random: StdRng,
    limit: Arc<ConcurrencyLimit>,
    servers: usize,
    free: usize,
    waiting: VecDeque<Request>,
    /// When each ends, and its number, which gives the heap an order among equals.
    ending: BinaryHeap<Reverse<(Instant, u64)>>,
    served: Vec<(u64, Request)>,
    number: u64,
    /// Some of the requests are of a second operation, which waits for something else than the servers.
    slow_share: f64,
    slow_takes: Duration,
    /// What one request needs of a server, in the mean.
    work: Duration,
}

struct Request {
    place: InFlight,
    arrived: Instant,
    work: Duration,
    is_slow: bool,
}

/// What became of the requests of a phase.
#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    refused: [usize; 3],
    asked: [usize; 3],
}

impl Tally {
    fn p99(&mut self) -> Duration {
        self.times.sort_unstable();
        self.times[self.times.len() * 99 / 100]
    }
}

const WORK: Duration = Duration::from_millis(10);
const MOST: usize = 128;

impl World {
    fn new(servers: usize, most: usize, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            random: StdRng::seed_from_u64(seed),
            limit: ConcurrencyLimit::new(ConcurrencyOptions { least: 4, most }, 2, now),
            servers,
            free: servers,
            waiting: VecDeque::new(),
            ending: BinaryHeap::new(),
            served: Vec::new(),
            number: 0,
            slow_share: 0.0,
            slow_takes: Duration::ZERO,
            work: WORK,
        }
    }

    fn limit(&self) -> usize {
        self.limit.limit(self.now)
    }

    /// Runs for `span` with a load that is this part of what the servers can do.
    fn run(&mut self, span: Duration, load: f64) -> Tally {
        let mut tally = Tally::default();
        let end = self.now + span;
        let a_second = load * as_f64(self.servers) / WORK.as_secs_f64();
        let mut next = self.now + self.pause(a_second);
        loop {
            let ended = self.ending.peek().map(|Reverse((at, _))| *at);
            self.now = ended.map_or(next, |at| at.min(next)).min(end);
            if self.now == end {
                return tally;
            }
            if ended == Some(self.now) {
                self.end_one(&mut tally);
            } else {
                self.arrive(&mut tally);
                next = self.now + self.pause(a_second);
            }
        }
    }

    /// Poisson arrivals.
    fn pause(&mut self, a_second: f64) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.random.random::<f64>()).ln() / a_second)
    }

    fn arrive(&mut self, tally: &mut Tally) {
        let priority = match self.random.random_range(0..20) {
            0 => Priority::Critical,
            1..14 => Priority::Normal,
            _ => Priority::Sheddable,
        };
        let is_slow = self.random.random_bool(self.slow_share);
        tally.asked[priority as usize] += 1;
        let Ok(place) = self.limit.admit(priority, usize::from(is_slow), self.now) else {
            tally.refused[priority as usize] += 1;
            return;
        };
        // Half of it for sure, the rest by chance: neither all alike nor without memory.
        let chance = -(1.0 - self.random.random::<f64>()).ln();
        let work = self.work.mul_f64(0.5 + 0.5 * chance);
        let request = Request {
            place,
            arrived: self.now,
            work,
            is_slow,
        };
        if is_slow {
            self.begin(Request {
                work: self.slow_takes,
                ..request
            });
        } else if self.free > 0 {
            self.free -= 1;
            self.begin(request);
        } else {
            self.waiting.push_back(request);
        }
    }

    fn begin(&mut self, request: Request) {
        self.number += 1;
        self.ending.push(Reverse((self.now + request.work, self.number)));
        self.served.push((self.number, request));
    }

    fn end_one(&mut self, tally: &mut Tally) {
        let Some(Reverse((_, number))) = self.ending.pop() else {
            return;
        };
        let at = self.served.iter().position(|(n, _)| *n == number).unwrap();
        let (_, request) = self.served.swap_remove(at);
        request.place.finish(Outcome::Succeeded, self.now);
        if request.is_slow {
            return;
        }
        tally.times.push(self.now - request.arrived);
        match self.waiting.pop_front() {
            Some(next) => self.begin(next),
            None => self.free += 1,
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ten_times_in_a_row_the_limit_is_back_ten_seconds_after_a_minute_of_overload() {
    for (servers, rounds, seed) in [(1, 3, 1), (2, 10, 2), (4, 1, 3)] {
        let mut world = World::new(servers, MOST, seed);
        for round in 0..rounds {
            let mut calm = world.run(20 * SECOND, 0.3);
            let before = world.limit();
            // Until those are done that came in before the first window ended.
            let mut onset = world.run(2 * SECOND, 10.0);
            let mut overload = world.run(58 * SECOND, 10.0);
            let during = world.limit();
            let capacity = 58.0 * as_f64(servers) / WORK.as_secs_f64();
            let goodput = as_f64(overload.times.len()) / capacity;
            let (alone, under) = (calm.p99(), overload.p99());
            world.run(10 * SECOND, 0.3);
            let after = world.limit();
            println!(
                "{servers} servers, round {round}: limit {before} -> {during} -> {after}; p99 {alone:?} -> {:?} -> {under:?}; goodput {goodput:.2}; refused {:?} of {:?}",
                onset.p99(),
                overload.refused,
                overload.asked
            );
            assert_eq!(calm.refused, [0, 0, 0]);
            assert!(as_f64(after) >= 0.8 * as_f64(before));
            assert!(goodput >= 0.85, "{goodput}");
            assert!(under <= 3 * alone, "{alone:?} {under:?}");
            // What matters most is refused at a lower rate.
            let share = |of: usize| as_f64(overload.refused[of]) / as_f64(overload.asked[of]);
            assert!(share(0) < share(1) && share(1) < share(2));
        }
    }
}

#[test]
fn slow_requests_among_fast_ones_take_nobody_s_place_and_leave_the_limit_where_it_is() {
    let mut world = World::new(8, MOST, 5);
    (world.slow_share, world.slow_takes) = (0.05, Duration::from_millis(50));
    let calm = world.run(30 * SECOND, 0.6);
    // What they wait for, which is not what the others wait for, gets slow.
    world.slow_takes = SECOND;
    let slow = world.run(60 * SECOND, 0.6);
    assert_eq!((calm.refused, slow.refused), ([0; 3], [0; 3]));
    assert_eq!(world.limit(), MOST);
}

#[test]
fn what_has_become_slower_for_good_is_not_taken_for_a_queue_for_ever() {
    let mut world = World::new(32, 40, 6);
    let calm = world.run(20 * SECOND, 0.2);
    assert_eq!(calm.refused, [0; 3]);
    // The servers need four times as long, and are still enough.
    world.work = 4 * WORK;
    let first = world.run(20 * SECOND, 0.2);
    let later = world.run(20 * SECOND, 0.2);
    println!(
        "refused at first {:?} of {:?}, later {:?}",
        first.refused, first.asked, later.refused
    );
    // Those that are refused first have room for less than this load.
    let [refused, asked] = [later.refused, later.asked].map(|all| all[0] + all[1]);
    assert!(refused * 50 < asked, "{refused} of {asked}");
}
