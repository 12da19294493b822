//! Ten times as many log-ins as the machine can hash: who only reads must not notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::json;

use super::for_a_while;
use super::load::{during, within};
use crate::client::{PASSWORD, PATIENCE};
use crate::stack::{Servers, Stack, resident_kib};

/// What OWASP advises, as the built-in settings have it; profile `test` has the cheapest.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
const READS: u32 = 40;
const SPAN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_more_log_ins_than_can_be_hashed_cost_no_read_an_answer() {
    let servers = Servers::shared()
        .set("ACCOUNTS__ARGON2__MEMORY_KIB", MEMORY_KIB.to_string())
        .set("ACCOUNTS__ARGON2__ITERATIONS", ITERATIONS.to_string());
    let stack = Stack::start(servers).await;
    stack.up().await;
    let at_the_start = resident_kib(&stack.users);
    let (_, user) = stack.client.sign_up("flood@example.com").await.unwrap();
    let id = user["id"].as_str().unwrap().to_owned();
    let token = stack.client.log_in("flood@example.com").await;
    let ceiling = tokio::task::spawn_blocking(|| hashes_a_second(Duration::from_secs(3)))
        .await
        .unwrap();

    let reads = |events| {
        let (client, id, token) = (stack.client.clone(), id.clone(), token.clone());
        during(events, READS, move |_| {
            let (client, id, token) = (client.clone(), id.clone(), token.clone());
            async move { client.read_user(&id, &token).await }
        })
    };
    let calm = reads(Box::pin(for_a_while(SPAN)) as std::pin::Pin<Box<dyn Future<Output = ()>>>).await;
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let sessions = format!("{}/v1/sessions", stack.client.users());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred")]
    let flood = during(for_a_while(SPAN), (ceiling * 10.0) as u32, move |_| {
        let request = http.post(&sessions);
        let request = request.json(&json!({"email": "flood@example.com", "password": PASSWORD}));
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
        }
    });
    let (flood, meanwhile) = tokio::join!(flood, reads(Box::pin(for_a_while(SPAN))));

    let grown = resident_kib(&stack.users).saturating_sub(at_the_start);
    println!("user-api has {grown} KiB more resident than at its start");
    assert!(
        grown <= most_kib(),
        "the memory of log-ins is not given back or kept: {grown} KiB"
    );
    for call in &flood {
        assert!(matches!(call.what, (201, _) | (503, true)), "{:?}", call.what);
    }
    assert!(calm.iter().chain(&meanwhile).all(|read| read.what == 200));
    let done = flood.iter().filter(|call| call.what.0 == 201);
    let a_second = f64::from(u32::try_from(done.clone().count()).unwrap()) / SPAN.as_secs_f64();
    let [before, under] =
        [&calm, &meanwhile].map(|reads| [50, 99].map(|share| within(share, reads.iter().map(|read| read.took))));
    println!(
        "{} log-ins asked, {a_second:.1} a second done: {:.0}% of {ceiling:.1} hashes a second; those took {:?} at p99; reads p50, p99 {before:?} -> {under:?}",
        flood.len(),
        100.0 * a_second / ceiling,
        within(99, done.map(|call| call.took)),
    );
}

/// A piece of memory for each hash that runs at a time, which is kept, and 20 MiB for all else.
fn most_kib() -> u64 {
    let at_a_time = std::thread::available_parallelism().map_or(2, usize::from);
    u64::from(MEMORY_KIB) * u64::try_from(at_a_time).unwrap() + 20 * 1024
}

/// What all cores can hash when they do nothing else.
fn hashes_a_second(span: Duration) -> f64 {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (hashed, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let params = Params::new(MEMORY_KIB, ITERATIONS, 1, None).unwrap();
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut output = [0; 32];
                while !over.load(Ordering::Relaxed) {
                    argon2
                        .hash_password_into(b"correct horse battery", b"sixteen bytes ok", &mut output)
                        .unwrap();
                    hashed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(span);
        over.store(true, Ordering::Relaxed);
    });
    f64::from(u32::try_from(hashed.load(Ordering::Relaxed)).unwrap()) / began.elapsed().as_secs_f64()
}
