//! A steady stream of calls that does not slow down when the answers do.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::client::{Client, Met};

/// One call: when it began, how long it took, what came of it.
pub(super) struct Call<T> {
    pub(super) began: Instant,
    pub(super) took: Duration,
    pub(super) what: T,
}

/// Who signed up, and what became of it.
pub(super) struct SignUp {
    pub(super) email: String,
    pub(super) met: Met,
}

impl SignUp {
    pub(super) fn is_done(&self) -> bool {
        self.met == Met::Answer(201)
    }
}

/// Begins so many calls a second for as long as `events` goes on, and waits for the answers to all.
pub(super) async fn during<T, F>(
    events: impl Future<Output = ()>,
    a_second: u32,
    mut call: impl FnMut(usize) -> F,
) -> Vec<Call<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut calls = JoinSet::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1) / a_second);
    // A machine that falls behind is not beaten with all that it missed.
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    tokio::pin!(events);
    loop {
        tokio::select! {
            () = &mut events => return calls.join_all().await,
            _ = clock.tick() => {
                let call = call(calls.len());
                calls.spawn(async move {
                    let began = Instant::now();
                    let what = call.await;
                    Call { began, took: began.elapsed(), what }
                });
            }
        }
    }
}

/// Sign-ups under addresses that begin with `name`, with or without a phone.
pub(super) fn sign_up(
    client: &Client,
    name: &'static str,
    area: Option<u32>,
) -> impl FnMut(usize) -> std::pin::Pin<Box<dyn Future<Output = SignUp> + Send>> + use<> {
    let client = client.clone();
    move |n| {
        let client = client.clone();
        Box::pin(async move {
            let email = format!("{name}{n}@example.com");
            let phone = area.map(|area| format!("+1{area}{n:07}"));
            let met = client.try_sign_up(&email, phone).await;
            SignUp { email, met }
        })
    }
}

/// The time within which this share of the calls was answered, in percent.
pub(super) fn within(share: usize, times: impl IntoIterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.into_iter().collect();
    assert!(!times.is_empty(), "no calls to judge");
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

/// Fails when an answer came so late that it waited for what was away. How fast the others were is printed, not judged.
pub(super) fn none_waited<T>(fault: &str, calls: &[&Call<T>], limit: Duration) {
    let slowest = calls.iter().map(|call| call.took).max().unwrap_or_default();
    let waited = calls.iter().filter(|call| call.took >= limit).count();
    println!("{fault}: the slowest of {} answers took {slowest:?}", calls.len());
    assert_eq!(waited, 0, "{fault}: answers after {limit:?} and more");
}

/// The 99th percentile.
pub(super) fn p99<'a, T: 'a>(calls: impl IntoIterator<Item = &'a Call<T>>) -> Duration {
    within(99, calls.into_iter().map(|call| call.took))
}
