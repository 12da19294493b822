//! Three processes of user-api over one PostgreSQL and one Redis: what each sees of the others' changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use test_support::{PrivateRedis, PrivateSentinel, eventually};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::for_a_while;
use super::load::within;
use crate::client::{Client, PATIENCE, scrape};
use crate::stack::{Replica, Servers, Stack};

/// Nobody answers with what was before a change for longer than this, whatever is away.
const BOUND: Duration = Duration::from_secs(2);
/// People who are read and changed.
const PEOPLE: usize = 8;
/// Expired sessions that are swept.
const EXPIRED: u64 = 40_000;
/// Sessions that one transaction deletes.
const BATCH: u64 = 200;

const SWEEP_LOST: &str = "lock=\"session-sweep\",outcome=\"lost\"";

/// One person, and when each version was answered, by which replica.
struct Person {
    id: String,
    token: String,
    /// One change at a time: its version is what the next one names.
    changing: Mutex<i64>,
    answered: std::sync::Mutex<Vec<(i64, Instant, usize)>>,
}

impl Person {
    /// The newest version that a read which begins now must not be older than: its own replica's, or others' that
    /// were answered long enough ago.
    fn least(&self, replica: usize, began: Instant) -> i64 {
        let answered = self.answered.lock().unwrap();
        let binding = answered
            .iter()
            .filter(|(_, at, by)| *at <= began && (*by == replica || began - *at >= BOUND));
        binding.map(|(version, ..)| *version).max().unwrap_or(1)
    }

    /// How long before `began` the first version above `version` was answered.
    fn age(&self, version: i64, began: Instant) -> Duration {
        let answered = self.answered.lock().unwrap();
        let newer = answered
            .iter()
            .filter(|(newer, at, _)| *newer > version && *at <= began);
        newer.map(|(_, at, _)| began - *at).max().unwrap_or_default()
    }
}

#[derive(Default)]
struct Counted {
    reads: AtomicUsize,
    writes: AtomicUsize,
    unanswered: AtomicUsize,
    ages: std::sync::Mutex<Vec<Duration>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn random_reads_and_writes_over_three_replicas_see_nothing_too_old_while_redis_is_killed_and_frozen() {
    let mut redis = PrivateRedis::start().await;
    let url = redis.url();
    let faults = async {
        for_a_while(Duration::from_secs(10)).await;
        println!(
            "cut: {}",
            redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.trim()
        );
        for_a_while(Duration::from_secs(8)).await;
        redis.kill();
        for_a_while(Duration::from_secs(8)).await;
        redis.start().await;
        for_a_while(Duration::from_secs(8)).await;
        redis.freeze();
        for_a_while(Duration::from_secs(6)).await;
        redis.thaw();
        for_a_while(Duration::from_secs(6)).await;
        redis.command(&["FLUSHALL"]).await;
    };
    nothing_is_too_old_while(faults, url, Duration::from_mins(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_reads_and_writes_over_three_replicas_see_nothing_too_old_while_redis_fails_over() {
    let mut sentinel = PrivateSentinel::start().await;
    let url = sentinel.url();
    let faults = async {
        for_a_while(Duration::from_secs(6)).await;
        sentinel.nodes[0].kill();
        let next = sentinel.nodes[1].port();
        eventually(PATIENCE, async || sentinel.master().await == next).await;
    };
    nothing_is_too_old_while(faults, url, Duration::from_secs(20)).await;
}

/// Reads and changes people at random, over three processes, for `length`, while `faults` happen to their Redis: no
/// answer is older than is promised.
async fn nothing_is_too_old_while(faults: impl Future<Output = ()>, redis: String, length: Duration) {
    let servers = Servers {
        redis,
        ..Servers::shared()
    }
    .set("STORE__RESPONSE_TIMEOUT_MS", "50");
    let stack = Stack::start(servers).await;
    stack.up().await;
    let others = [stack.another_user_api().await, stack.another_user_api().await];
    let clients = [&stack.client, &others[0].client, &others[1].client].map(Clone::clone);
    let people = Arc::new(people(&stack.client).await);
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let counted = Arc::new(Counted::default());
    let end = Instant::now() + length;
    let mut load = JoinSet::new();
    for task in 0..12_u64 {
        let (clients, people, counted) = (clients.clone(), people.clone(), counted.clone());
        load.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed ^ task);
            while Instant::now() < end {
                one_step(&mut random, &clients, &people, &counted).await;
            }
        });
    }
    faults.await;
    load.join_all().await;
    let ages = counted.ages.lock().unwrap().clone();
    println!(
        "seed {seed}: {} reads, {} writes, {} without an answer; old answers: {}, of another replica's change {:?} (p99) and {:?} (most) before",
        counted.reads.load(Ordering::Relaxed),
        counted.writes.load(Ordering::Relaxed),
        counted.unanswered.load(Ordering::Relaxed),
        ages.iter().filter(|age| !age.is_zero()).count(),
        within(99, ages.iter().copied()),
        ages.iter().max().unwrap(),
    );
}

async fn one_step(random: &mut StdRng, clients: &[Client; 3], people: &[Person], counted: &Counted) {
    let replica = random.random_range(0..clients.len());
    let person = &people[random.random_range(0..people.len())];
    let client = &clients[replica];
    if random.random_bool(0.1) {
        change(person, client, replica, counted).await;
        return;
    }
    let began = Instant::now();
    let least = person.least(replica, began);
    let Some(version) = client.version_of(&person.id, &person.token).await else {
        counted.unanswered.fetch_add(1, Ordering::Relaxed);
        return;
    };
    counted.reads.fetch_add(1, Ordering::Relaxed);
    assert!(
        version >= least,
        "replica {replica} answered version {version}, {:?} after a newer one was answered; not below {least}",
        person.age(version, began)
    );
    counted.ages.lock().unwrap().push(person.age(version, began));
}

async fn change(person: &Person, client: &Client, replica: usize, counted: &Counted) {
    let Ok(mut version) = person.changing.try_lock() else {
        return;
    };
    let name = format!("Ada {}", *version);
    let renamed = client.rename(&person.id, &person.token, *version, &name).await;
    if let Ok(new) = renamed {
        person.answered.lock().unwrap().push((new, Instant::now(), replica));
        counted.writes.fetch_add(1, Ordering::Relaxed);
        *version = new;
        return;
    }
    // It may have come true all the same; what is there now counts from when it is seen.
    counted.unanswered.fetch_add(1, Ordering::Relaxed);
    for _ in 0..2 {
        if let Some(seen) = client.version_of(&person.id, &person.token).await {
            *version = seen.max(*version);
        }
        for_a_while(BOUND).await;
    }
}

async fn people(client: &Client) -> Vec<Person> {
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let email = format!("changing{n}@example.com");
        let (_, user) = client.sign_up(&email).await.unwrap();
        people.push(Person {
            id: user["id"].as_str().unwrap().to_owned(),
            token: client.log_in(&email).await,
            changing: Mutex::new(1),
            answered: std::sync::Mutex::default(),
        });
    }
    people
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_that_is_stopped_is_replaced_and_deletes_nothing_when_it_goes_on() {
    let servers = Servers::shared()
        .set("ACCOUNTS__SESSIONS__SWEEP_EVERY_MS", "3000")
        .set("ACCOUNTS__SESSIONS__LIFETIME_S", "3600");
    let stack = Stack::start(servers).await;
    stack.up().await;
    let replicas = three_more(&stack).await;
    let (_, user) = stack.client.sign_up("sessions@example.com").await.unwrap();
    let id = user["id"].as_str().unwrap();
    let old = format!(
        "INSERT INTO user_api.sessions (id, user_id, created_at, last_seen_at)
         SELECT gen_random_uuid(), '{id}', 0, n FROM generate_series(1, {EXPIRED}) AS n"
    );
    stack.database().execute(&old).await;
    let others = replicas
        .iter()
        .map(|replica| (&replica.process, replica.operations.as_str()));
    let all: Vec<_> = others
        .chain([(&stack.users, stack.users_operations.as_str())])
        .collect();
    let (process, operations) = eventually(PATIENCE, || async {
        for one in &all {
            if swept(one.1, "deleted").await > 0 {
                return Some(*one);
            }
        }
        None
    })
    .await;
    process.freeze();
    let left = sessions(&stack).await;
    let began = Instant::now();
    eventually(PATIENCE, || async { sessions(&stack).await == 0 }).await;
    println!(
        "the sweeper was stopped with {left} of {EXPIRED} left; the others had deleted them {:?} later",
        began.elapsed()
    );
    process.thaw();
    if left > 0 {
        eventually(PATIENCE, || async { lost_or_fenced(operations).await > 0 }).await;
    }
    let mut total = 0;
    for (_, operations) in &all {
        total += swept(operations, "deleted").await;
    }
    println!(
        "deleted {total}; the stopped one: fenced off {}, lost {}",
        swept(operations, "fenced").await,
        counter(operations, "waypost_lock_attempts_total", SWEEP_LOST).await
    );
    // Of the one that was stopped in its commit, the answer came too late to be counted; none is counted twice.
    assert!((EXPIRED - BATCH..=EXPIRED).contains(&total), "{total}");
}

/// Three processes beside the stack's own.
async fn three_more(stack: &Stack) -> [Replica; 3] {
    [
        stack.another_user_api().await,
        stack.another_user_api().await,
        stack.another_user_api().await,
    ]
}

async fn lost_or_fenced(operations: &str) -> u64 {
    swept(operations, "fenced").await + counter(operations, "waypost_lock_attempts_total", SWEEP_LOST).await
}

async fn swept(operations: &str, outcome: &str) -> u64 {
    let labels = format!("outcome=\"{outcome}\"");
    counter(operations, "waypost_sessions_swept_total", &labels).await
}

async fn counter(operations: &str, name: &str, labels: &str) -> u64 {
    let metrics = scrape(operations).await.unwrap_or_default();
    let line = metrics
        .lines()
        .find(|line| line.starts_with(name) && line.contains(labels));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

async fn sessions(stack: &Stack) -> u64 {
    let old = "SELECT count(*)::text FROM user_api.sessions WHERE last_seen_at <= 1000000";
    let counted = stack.texts(old).await;
    counted.first().and_then(|count| count.parse().ok()).unwrap_or(u64::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expiry_of_a_hot_key_on_three_processes_costs_one_query() {
    let redis = PrivateRedis::start().await;
    let servers = Servers {
        redis: redis.url(),
        ..Servers::shared()
    };
    let namespace = servers.namespace.name().to_owned();
    let stack = Stack::start(servers).await;
    stack.up().await;
    let replicas = three_more(&stack).await;
    let (_, user) = stack.client.sign_up("hot@example.com").await.unwrap();
    let id = user["id"].as_str().unwrap().to_owned();
    let token = stack.client.log_in("hot@example.com").await;
    // Its fresh life is over: the third field, in microseconds, is long past.
    let key = format!("{namespace}:user:{id}");
    let age = "local v = redis.call('GET', KEYS[1]); local p = redis.call('PTTL', KEYS[1]);
        local head, epoch, fresh, rest = string.match(v, '^(w1|%d+|v|%d+|)(%d+|)(%d+)(|.*)$');
        redis.call('SET', KEYS[1], head .. epoch .. '1' .. rest, 'PX', p); return fresh";
    let aged = redis.command(&["EVAL", age, "1", &key]).await;
    assert!(aged.trim().trim_matches('"').len() > 10, "{aged}");
    let mut readers = JoinSet::new();
    for n in 0..1_000 {
        let (client, id, token) = (replicas[n % 3].client.clone(), id.clone(), token.clone());
        readers.spawn(async move { client.read_user(&id, &token).await });
    }
    let answers = readers.join_all().await;
    assert!(answers.iter().all(|status| *status == 200));
    let mut queries = 0;
    for replica in &replicas {
        queries += counter(&replica.operations, "waypost_cache_reads_total", "layer=\"database\"").await;
    }
    println!("1,000 readers on three processes at the expiry of one key: {queries} queries");
    assert_eq!(queries, 1);
}
