//! More reads of accounts than the database can serve: who is answered how fast, who is refused, and that it passes.
//!
//! There is no Redis, so that every read of an account is one of the database, and the way to the database is long:
//! what it can serve is known, and it is not the processor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use test_support::{Fault, FaultProxy, PrivatePostgres, eventually};
use tokio::task::JoinSet;

use super::for_a_while;
use super::load::{Call, during, within};
use crate::client::{PATIENCE, readiness, scrape};
use crate::stack::{Servers, Stack};

/// A read of one waits for no read of another.
const PEOPLE: usize = 160;
/// Where the limit rests.
const MOST: usize = 64;
/// There and back: a read takes two of these, and 12 are made at a time.
const WAY: Duration = Duration::from_millis(20);
const CALM: u32 = 20;
const FLOOD: u32 = 600;
/// So long may the limit take to be back.
const BACK: Duration = Duration::from_secs(10);

/// What a request was answered with.
struct Answered {
    status: u16,
    retry_after: bool,
    is_anonymous: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn more_reads_than_the_database_can_serve_are_refused_at_once_and_the_limit_comes_back() {
    let postgres = PrivatePostgres::start().await;
    let proxy = FaultProxy::before(&postgres.url()).await;
    let url = proxy.url(&postgres.url());
    let servers = Servers {
        redis: "redis://127.0.0.1:9".to_owned(),
        ..Servers::shared()
    };
    let settings = servers
        .set("DATABASE__URL", url)
        .set("OVERLOAD__MOST", MOST.to_string());
    let stack = Stack::start(settings).await;
    let people = people(&stack).await;
    proxy.set(Fault::Delay(WAY)).await;

    let calm = read(&stack, &people, CALM, Duration::from_secs(8)).await;
    let before = limit(&stack).await;
    let health = AtomicUsize::new(0);
    let lowest = AtomicUsize::new(usize::MAX);
    let watch = async {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            let (status, _) = readiness(&stack.users_operations).await.expect("health answers");
            assert_eq!(status, 200);
            health.fetch_add(1, Ordering::Relaxed);
            lowest.fetch_min(limit(&stack).await, Ordering::Relaxed);
            for_a_while(Duration::from_millis(200)).await;
        }
    };
    let mut flood = reading(&stack, &people, FLOOD, watch).await;
    let ended = Instant::now();
    eventually(BACK, || async { limit(&stack).await * 10 >= before * 8 }).await;
    let back = ended.elapsed();
    let after = read(&stack, &people, CALM, Duration::from_secs(3)).await;

    for call in calm.iter().chain(&flood).chain(&after) {
        let Answered {
            status, retry_after, ..
        } = call.what;
        assert!(status == 200 || status == 503 && retry_after, "{status}");
    }
    println!(
        "limit {before} -> {} -> back {back:?} after; health answered {} times",
        lowest.into_inner(),
        health.into_inner()
    );
    let first = flood.iter().map(|call| call.began).min().unwrap();
    flood.retain(|call| call.began - first > Duration::from_secs(2));
    judge(&calm, &flood);
    assert!(after.iter().all(|call| call.what.status == 200));
}

/// Prints how fast people were answered in a calm time and in the flood, and looks who was refused.
fn judge(calm: &[Call<Answered>], flood: &[Call<Answered>]) {
    let accepted = |calls: &[Call<Answered>]| {
        let people = calls
            .iter()
            .filter(|call| !call.what.is_anonymous && call.what.status == 200);
        [50, 99].map(|share| within(share, people.clone().map(|call| call.took)))
    };
    let refused = |is_anonymous: bool| {
        let all = flood.iter().filter(move |call| call.what.is_anonymous == is_anonymous);
        let refused = all.clone().filter(|call| call.what.status == 503);
        (
            refused.clone().count(),
            all.count(),
            within(50, refused.map(|call| call.took)),
        )
    };
    let ((readers, of_readers, _), (people, of_people, at_once)) = (refused(true), refused(false));
    println!(
        "p50 and p99 alone {:?}, of {FLOOD} a second {:?}; refused: of people's {people} of {of_people}, half of them within {at_once:?}, of reads without a name {readers} of {of_readers}",
        accepted(calm),
        accepted(flood),
    );
    assert!(people > 0, "it was no overload");
    assert!(readers * of_people >= people * of_readers, "people were refused first");
}

/// Four at a time: this is no overload yet.
async fn people(stack: &Stack) -> Vec<(String, String)> {
    let mut making = JoinSet::new();
    for quarter in 0..4 {
        let client = stack.client.clone();
        making.spawn(async move {
            let mut made = Vec::new();
            for n in 0..PEOPLE / 4 {
                let email = format!("many{quarter}x{n}@example.com");
                // A busy machine may turn one away: nothing was done then.
                let made_anew = async || client.sign_up(&email).await.filter(|(status, _)| *status == 201);
                let (_, user) = eventually(PATIENCE, made_anew).await;
                made.push((user["id"].as_str().unwrap().to_owned(), client.log_in(&email).await));
            }
            made
        });
    }
    making.join_all().await.into_iter().flatten().collect()
}

async fn read(stack: &Stack, people: &[(String, String)], a_second: u32, span: Duration) -> Vec<Call<Answered>> {
    reading(stack, people, a_second, for_a_while(span)).await
}

/// Reads of accounts, and one in ten of the published keys, which anybody may read.
async fn reading(
    stack: &Stack,
    people: &[(String, String)],
    a_second: u32,
    events: impl Future<Output = ()>,
) -> Vec<Call<Answered>> {
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let users = stack.client.users().to_owned();
    during(events, a_second, |n| {
        let (id, token) = &people[n % people.len()];
        let is_anonymous = n % 10 == 9;
        let request = if is_anonymous {
            http.get(format!("{users}/.well-known/jwks.json"))
        } else {
            http.get(format!("{users}/v1/users/{id}")).bearer_auth(token)
        };
        async move {
            let answer = request.send().await.unwrap();
            Answered {
                status: answer.status().as_u16(),
                retry_after: answer.headers().contains_key("retry-after"),
                is_anonymous,
            }
        }
    })
    .await
}

/// The limit of reads as user-api shows it.
async fn limit(stack: &Stack) -> usize {
    let metrics = scrape(&stack.users_operations).await.unwrap_or_default();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("waypost_concurrency_limit") && line.contains("lane=\"reads\""));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}
