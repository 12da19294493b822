//! The smallest way to tell another service something over a queue, and what it gets wrong.
//!
//! `cargo run --example 02_naive_queue -- in-request` (or `dual-write`, `redelivery`, `poison`, `overtaking`)
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::sleep;

/// What the mail server takes on a bad day.
const SLOW_MAIL: Duration = Duration::from_secs(2);
/// What it takes on a good one.
const MAIL: Duration = Duration::from_millis(5);

#[derive(Parser)]
struct Arguments {
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    InRequest,
    DualWrite,
    Redelivery,
    Poison,
    Overtaking,
}

/// A queue as brokers have it: a message is handed out, and comes again at its old place unless it is acknowledged.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<String>>,
    is_away: bool,
}

#[derive(Debug)]
struct Away;

impl Queue {
    async fn publish(&self, message: &str) -> Result<(), Away> {
        sleep(MAIL).await;
        if self.is_away {
            return Err(Away);
        }
        self.waiting.lock().push_back(message.to_owned());
        Ok(())
    }

    fn first(&self) -> Option<String> {
        self.waiting.lock().front().cloned()
    }

    fn acknowledge(&self) {
        self.waiting.lock().pop_front();
    }
}

/// Who signed up, as the table has it, and who got a mail.
type Names = Mutex<Vec<String>>;

/// Signs somebody up: the row, then the message that tells of it.
async fn sign_up(people: &Names, queue: &Queue, name: &str) -> Result<(), Away> {
    people.lock().push(name.to_owned());
    queue.publish(name).await
}

/// Takes the first message: the mail, then the acknowledgement. What can't be read is left for later.
async fn take_first(queue: &Queue, mails: &Names) -> Option<()> {
    let name = queue.first()?;
    if name.starts_with('{') {
        return None;
    }
    mails.lock().push(name);
    sleep(MAIL).await;
    queue.acknowledge();
    Some(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match Arguments::parse().what {
        What::InRequest => in_request().await,
        What::DualWrite => dual_write().await,
        What::Redelivery => redelivery().await,
        What::Poison => poison().await,
        What::Overtaking => overtaking(),
    }
}

/// A sign-up that sends the mail itself, and one that leaves a message.
async fn in_request() {
    let (people, queue) = (Names::default(), Queue::default());
    let began = Instant::now();
    people.lock().push("Ada".into());
    sleep(SLOW_MAIL).await;
    println!(
        "answered, with the mail sent in the request   {} ms",
        began.elapsed().as_millis()
    );
    let began = Instant::now();
    let _ = sign_up(&people, &queue, "Grace").await;
    println!(
        "answered, with a message left in a queue      {} ms",
        began.elapsed().as_millis()
    );
}

/// The broker is away for one sign-up, and the process dies in the middle of another.
async fn dual_write() {
    let (people, queue) = (Names::default(), Queue::default());
    let away = Queue {
        is_away: true,
        ..Queue::default()
    };
    let _ = sign_up(&people, &queue, "Ada").await;
    let _ = sign_up(&people, &away, "Grace").await;
    // What is dropped in the middle has gone as far as a process that is killed there.
    let _ = sign_up(&people, &queue, "Barbara").now_or_never();
    println!("in the table   {}", people.lock().join(", "));
    println!(
        "in the queue   {}",
        queue.waiting.lock().iter().cloned().collect::<Vec<_>>().join(", ")
    );
}

/// The worker dies between the mail and the acknowledgement.
async fn redelivery() {
    let (people, queue, mails) = (Names::default(), Queue::default(), Names::default());
    let _ = sign_up(&people, &queue, "Ada").await;
    let _ = take_first(&queue, &mails).now_or_never();
    // It is started anew, and the message is still there.
    take_first(&queue, &mails).await;
    println!("sign-ups   {}", people.lock().len());
    println!("mails      {}", mails.lock().len());
}

/// The first of four messages can't be read.
async fn poison() {
    let (people, queue, mails) = (Names::default(), Queue::default(), Names::default());
    let mut tries = 0;
    for name in ["{\"name\": 7}", "Ada", "Grace", "Barbara"] {
        let _ = sign_up(&people, &queue, name).await;
    }
    while tries < 10_000 && take_first(&queue, &mails).await.is_none() {
        tries += 1;
    }
    println!("tries of a message that can't be read   {tries}");
    println!("mails to the three behind it            {}", mails.lock().len());
}

/// A copy of a name is kept by events. The first one fails for a moment, and comes again by a delay queue.
fn overtaking() {
    let mut copy = "nobody";
    let mut queue = VecDeque::from([("Ada Byron", 1), ("Ada Lovelace", 1)]);
    while let Some((name, attempt)) = queue.pop_front() {
        if (name, attempt) == ("Ada Byron", 1) {
            queue.push_back((name, attempt + 1));
            continue;
        }
        copy = name;
    }
    println!("told first    Ada Byron");
    println!("told then     Ada Lovelace");
    println!("the copy has  {copy}");
}
