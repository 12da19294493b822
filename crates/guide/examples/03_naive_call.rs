//! The smallest way to call another company's system, and what it gets wrong.
//!
//! `cargo run --example 03_naive_call -- retry-storm` (or `unknown-outcome`, `half-open`)
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// How long a try is waited for.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often one is made.
const TRIES: usize = 4;
/// How long the breaker stays open.
const OPEN_FOR: Duration = Duration::from_millis(50);
/// Failures in a row that open it.
const ENOUGH: usize = 3;

#[derive(Parser)]
struct Arguments {
    fault: Fault,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    RetryStorm,
    UnknownOutcome,
    HalfOpen,
}

/// Somebody who sends SMS for money. Counts what it is asked, and what it sent.
#[derive(Default)]
struct Provider {
    is_down: AtomicBool,
    answers_after: Duration,
    asked: AtomicUsize,
    sent: AtomicUsize,
}

#[derive(Debug)]
struct Failed;

impl Provider {
    async fn send(&self) -> Result<(), Failed> {
        self.asked.fetch_add(1, SeqCst);
        if self.is_down.load(SeqCst) {
            return Err(Failed);
        }
        self.sent.fetch_add(1, SeqCst);
        sleep(self.answers_after).await;
        Ok(())
    }
}

/// Calls the provider: a time-out, and another try when there was no good answer.
async fn call(provider: &Provider) -> Result<(), Failed> {
    for _ in 0..TRIES {
        if let Ok(Ok(())) = timeout(PATIENCE, provider.send()).await {
            return Ok(());
        }
    }
    Err(Failed)
}

/// A circuit breaker as it is first written: opens after some failures, then lets one call through to find out.
#[derive(Default)]
struct Breaker {
    failures: usize,
    open_until: Option<Instant>,
    is_probing: bool,
}

impl Breaker {
    /// Whether a call may be made; `report` tells how it ended.
    fn admits(&mut self) -> bool {
        match self.open_until {
            None => true,
            Some(until) if Instant::now() < until || self.is_probing => false,
            Some(_) => {
                self.is_probing = true;
                true
            }
        }
    }

    fn report(&mut self, is_well: bool) {
        self.is_probing = false;
        self.failures = if is_well { 0 } else { self.failures + 1 };
        self.open_until = (self.failures >= ENOUGH).then(|| Instant::now() + OPEN_FOR);
    }
}

/// A call behind the breaker; whether it was made and went well.
async fn call_behind(breaker: &Mutex<Breaker>, provider: &Provider) -> bool {
    if !breaker.lock().admits() {
        return false;
    }
    let is_well = provider.send().await.is_ok();
    breaker.lock().report(is_well);
    is_well
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match Arguments::parse().fault {
        Fault::RetryStorm => retry_storm().await,
        Fault::UnknownOutcome => unknown_outcome().await,
        Fault::HalfOpen => half_open().await,
    }
}

/// The provider is down. A browser asks a service, that asks another one, that calls: each layer tries again.
async fn retry_storm() {
    let provider = Provider::default();
    provider.is_down.store(true, SeqCst);
    let service = async || {
        for _ in 0..TRIES {
            if call(&provider).await.is_ok() {
                return Ok(());
            }
        }
        Err(Failed)
    };
    let people = 100;
    for _ in 0..people {
        for _ in 0..TRIES {
            if service().await.is_ok() {
                break;
            }
        }
    }
    println!("people who pressed a button once   {people:>5}");
    println!("requests at the provider           {:>5}", provider.asked.load(SeqCst));
}

/// The provider does what it is asked, and answers later than anybody waits.
async fn unknown_outcome() {
    let provider = Provider {
        answers_after: PATIENCE * 500,
        ..Provider::default()
    };
    let told = call(&provider).await;
    println!("the caller was told   {}", if told.is_ok() { "sent" } else { "failed" });
    println!("the person got        {} messages", provider.sent.load(SeqCst));
}

/// The provider was down, and is well again. The call that was to find that out was broken off by whoever made it.
async fn half_open() {
    let (breaker, mut provider) = (Mutex::new(Breaker::default()), Provider::default());
    provider.is_down.store(true, SeqCst);
    for _ in 0..ENOUGH {
        call_behind(&breaker, &provider).await;
    }
    sleep(OPEN_FOR).await;
    provider.is_down.store(false, SeqCst);
    provider.answers_after = PATIENCE;
    // Somebody closes the browser, and the future of their request is dropped.
    let _ = call_behind(&breaker, &provider).now_or_never();
    sleep(OPEN_FOR * 2).await;
    let mut let_through = 0;
    for _ in 0..1000 {
        let_through += usize::from(call_behind(&breaker, &provider).await);
    }
    println!("the provider is       well");
    println!("calls since then       1000");
    println!("let through            {let_through}");
}
