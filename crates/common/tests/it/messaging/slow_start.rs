//! A consumer that dies, is cut off, or is lost by the broker: nothing else is lost or set aside with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::config::Service;
use common::messaging::{Broker, Change, Consumer, Intake, Message, Rejection};
use common::process::Tasks;
use contracts::topology::EMAIL_WORKER_EVENTS;
use test_support::{Fault, PrivateRabbit, eventually};
use tokio::sync::Notify;
use tokio::time::sleep;
use uuid::Uuid;

use super::effects::{Effects, LONG, each_has_one_effect, effects, make_table};
use super::fixture::{Fixture, Store, done, outbound, someone};
use super::rabbit::broker_proxy;

/// Kills its process at one message; takes its time for the others.
struct Killed {
    poison: Uuid,
    kill: Arc<Notify>,
    dead: Arc<Notify>,
}

impl Intake for Killed {
    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        if message.id == self.poison {
            self.kill.notify_one();
            // Nobody hears what it has to say any more.
            self.dead.notified().await;
            return Err(Rejection::retry("killed"));
        }
        sleep(Duration::from_millis(200)).await;
        Effects.take(message, change).await
    }
}

#[tokio::test]
async fn a_message_that_kills_its_process_takes_no_other_along_to_the_dead_letters() {
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    make_table(&store).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let poison = outbound(&someone());
    fixture.broker.publish(poison.clone()).await.unwrap();
    let mut innocent = Vec::new();
    for _ in 0..39 {
        let message = outbound(&someone());
        innocent.push(message.id());
        fixture.broker.publish(message).await.unwrap();
    }

    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < 60, "the poison message comes again and again");
        if is_lived_to_the_end(&fixture, &store, (poison.id(), innocent.len())).await {
            break;
        }
    }

    let letters = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await;
    let ids: Vec<_> = letters.iter().filter_map(|letter| letter.id.clone()).collect();
    println!(
        "{lives} lives: set aside {}, taken in {}",
        ids.len(),
        effects(&store).await.len()
    );
    assert_eq!(ids, [poison.id().to_string()]);
    assert!(letters[0].reason.contains("delivery_limit"), "{letters:?}");
    each_has_one_effect(&store, &innocent).await;
    fixture.end().await;
}

/// A worker's life: to its end by the poison message, or until `count` messages are taken in.
async fn is_lived_to_the_end(fixture: &Fixture, store: &Store, (poison, count): (Uuid, usize)) -> bool {
    let (proxy, through) = broker_proxy().await;
    let mut settings = fixture.settings.clone();
    settings.broker.url = through.into();
    let tasks = Tasks::new(Service::EmailWorker);
    let (kill, dead) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let broker = Broker::connect(&settings, &tasks, &fixture.metrics).unwrap();
    let consumer = Consumer {
        queue: EMAIL_WORKER_EVENTS,
        intake: Killed {
            poison,
            kill: kill.clone(),
            dead: dead.clone(),
        },
        changes: store.changes(),
        options: fixture.options(),
    };
    broker.consume(consumer, &fixture.metrics, &tasks);
    let ended = tokio::select! {
        () = kill.notified() => false,
        () = eventually(LONG, async || effects(store).await.len() == count) => true,
    };
    // As the system does with the connections of a process that is gone.
    proxy.set(Fault::Refuse).await;
    tasks.stopping().cancel();
    dead.notify_one();
    ended
}

#[tokio::test]
async fn a_consumer_that_the_broker_has_lost_is_noticed_and_made_anew() {
    let rabbit = PrivateRabbit::start().await;
    let fixture = Fixture::private(&rabbit.url()).await;
    fixture.is_up().await;
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let queue = fixture.name(EMAIL_WORKER_EVENTS.name);
    eventually(LONG, async || consumers(&rabbit, &queue).await == "1").await;

    let forget = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
         [ra:process_command(amqqueue:get_pid(Q), rabbit_fifo:make_checkout({{element(2, C), element(1, C)}}, cancel, #{{}})) \
          || C <- rabbit_amqqueue:consumers(Q)], \
         rabbit_amqqueue:stat(Q)."
    );
    let left = rabbit.control(&["eval", &forget]).await;
    assert_eq!(left.trim(), "{ok,0,0}", "no message, no consumer");
    let message = outbound(&someone());
    fixture.broker.publish(message.clone()).await.unwrap();

    eventually(LONG, async || seen.ids() == [message.id()]).await;
    eventually(LONG, async || consumers(&rabbit, &queue).await == "1").await;
    let shown = "waypost_queue_consumers{service=\"email-worker\",queue=\"email-worker.events\"} 1";
    eventually(LONG, async || fixture.metrics.render().contains(shown)).await;
    fixture.end().await;
}

#[tokio::test]
async fn a_channel_that_the_broker_closes_is_made_anew_on_its_connection() {
    let rabbit = PrivateRabbit::start().await;
    // A message that is not acknowledged within half a second costs its channel.
    let impatient = "application:set_env(rabbit, consumer_timeout, 500), \
                     application:set_env(rabbit, channel_tick_interval, 300).";
    rabbit.control(&["eval", impatient]).await;
    let fixture = Fixture::private(&rabbit.url()).await;
    fixture.is_up().await;
    let slow = outbound(&someone());
    let id = slow.id();
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |message| {
        if message.id != id {
            return done();
        }
        Box::pin(async {
            sleep(Duration::from_secs(2)).await;
            Ok(())
        })
    });
    let connections = async || rabbit.control(&["list_connections", "pid"]).await;
    let before = connections().await;
    fixture.broker.publish(slow.clone()).await.unwrap();

    // It comes again over another channel, and is known by then.
    eventually(LONG, async || acknowledged(&fixture) >= 2).await;
    let next = outbound(&someone());
    fixture.broker.publish(next.clone()).await.unwrap();
    eventually(LONG, async || seen.ids().len() > 1).await;

    assert_eq!(seen.ids(), [slow.id(), next.id()]);
    let sorted = |listed: &str| listed.lines().map(str::to_owned).collect::<HashSet<_>>();
    assert_eq!(sorted(&before), sorted(&connections().await), "the connections stay");
    fixture.end().await;
}

fn acknowledged(fixture: &Fixture) -> usize {
    let acked = "queue=\"email-worker.events\",outcome=\"ack\"} ";
    let rendered = fixture.metrics.render();
    let value = rendered.lines().find_map(|line| line.split_once(acked));
    value.map_or(0, |(_, value)| value.parse().unwrap())
}

async fn consumers(rabbit: &PrivateRabbit, queue: &str) -> String {
    let listed = rabbit.control(&["list_queues", "name", "consumers"]).await;
    let line = listed.lines().find_map(|line| line.strip_prefix(&format!("{queue}\t")));
    line.unwrap_or_default().trim().to_owned()
}
