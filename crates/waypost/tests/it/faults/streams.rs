//! People who follow their notifications over two gateways, which are restarted one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use test_support::eventually;
use tokio::task::JoinSet;

use super::for_a_while;
use crate::client::Client;
use crate::stack::{Servers, Stack};

/// How many follow, and how much they are told.
#[derive(Clone, Copy)]
struct Size {
    people: usize,
    /// Events that tell each person of something, beside their sign-up and the last one.
    told: usize,
}

impl Size {
    /// The number of each person's last notification.
    fn last(self) -> i64 {
        i64::try_from(self.told).unwrap() + 2
    }
}

/// A busy machine takes some of these seconds for each round.
const END: Duration = Duration::from_mins(5);

/// What happened to the streams.
#[derive(Default)]
struct Counted {
    notifications: AtomicUsize,
    opened: AtomicUsize,
    refused: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_over_two_gateways_see_each_number_once_while_both_are_restarted() {
    let size = Size { people: 200, told: 10 };
    each_sees_each_number_once(size).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make test-long"]
async fn a_thousand_streams_over_two_gateways_see_twenty_thousand_numbers_once_while_both_are_restarted() {
    let size = Size {
        people: 1_000,
        told: 18,
    };
    each_sees_each_number_once(size).await;
}

async fn each_sees_each_number_once(size: Size) {
    let servers = Servers::shared().set("HTTP__CONNECTIONS_PER_ADDRESS", "5000");
    let mut stack = Stack::without_worker(servers).await;
    stack.up().await;
    let mut other = stack.another_gateway().await;
    let tokens = people(&stack.client, size.people).await;
    let counted = Arc::new(Counted::default());
    let mut streams = JoinSet::new();
    for (n, token) in tokens.into_iter().enumerate() {
        let gateways = [stack.client.clone(), other.client.clone()];
        streams.spawn(follow(gateways, token, (n % 2, size.last()), Arc::clone(&counted)));
    }
    let began = Instant::now();
    let tell = async {
        for round in 1..=size.told {
            tell_everybody(&stack).await;
            let told = size.people * round;
            // Not all at once: something must be under way at each restart.
            let half = async || counted.notifications.load(Ordering::Relaxed) > told - size.people / 2;
            eventually(END, half).await;
        }
    };
    tokio::join!(tell, async {
        for _ in 0..2 {
            for_a_while(Duration::from_secs(4)).await;
            stack.restart(&mut other).await;
        }
    });
    stack.restart_gateway().await;
    tell_everybody(&stack).await;
    let all = async {
        while let Some(ended) = streams.join_next().await {
            ended.unwrap();
        }
    };
    // Or some wait for what does not come.
    tokio::time::timeout(END, all).await.unwrap();
    let written = "SELECT count(*)::text FROM notification_gateway.notifications";
    println!(
        "{} notifications written, {} arrived at {} people, each once and in order, in {:?}; {} streams opened, {} refused",
        stack.texts(written).await[0],
        counted.notifications.load(Ordering::Relaxed),
        size.people,
        began.elapsed(),
        counted.opened.load(Ordering::Relaxed),
        counted.refused.load(Ordering::Relaxed),
    );
}

/// Follows one person's numbers to the last, each time over the other gateway.
async fn follow(gateways: [Client; 2], token: String, (mut at, goal): (usize, i64), counted: Arc<Counted>) {
    let mut last = 0;
    while last < goal {
        if let Some(mut stream) = gateways[at].stream_after(&token, last).await {
            counted.opened.fetch_add(1, Ordering::Relaxed);
            while last < goal
                && let Some(notification) = stream.next().await
            {
                let seq = notification["seq"].as_i64().unwrap();
                assert_eq!(seq, last + 1, "a gap, or the same number again");
                last = seq;
                counted.notifications.fetch_add(1, Ordering::Relaxed);
            }
        } else {
            counted.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        at = 1 - at;
    }
}

async fn people(client: &Client, count: usize) -> Vec<String> {
    let one = |n: usize| async move {
        let email = format!("follows{n}@example.com");
        let signed_up = async || {
            client
                .sign_up(&email)
                .await
                .is_some_and(|(status, _)| status == 201 || status == 409)
        };
        eventually(END, signed_up).await;
        Ok::<_, ()>(client.log_in(&email).await)
    };
    stream::iter((0..count).map(one))
        .buffer_unordered(8)
        .try_collect()
        .await
        .unwrap()
}

/// Has an event written for everybody, as a change of all of them would.
async fn tell_everybody(stack: &Stack) {
    let events = "INSERT INTO user_api.outbox (aggregate, message_id, type, headers, body, created_at)
        SELECT u.id, e.id, 'user.registered.v1', jsonb_build_object(
            'cloudEvents_specversion', '1.0', 'cloudEvents_id', e.id, 'cloudEvents_source', 'user-api',
            'cloudEvents_type', 'user.registered.v1', 'cloudEvents_time', '2026-01-01T00:00:00Z',
            'cloudEvents_subject', u.id),
          convert_to(jsonb_build_object('user_id', u.id, 'version', 1, 'email', u.email, 'name', u.name,
            'locale', 'en', 'status', 'active')::text, 'UTF8'), 0
        FROM user_api.users u CROSS JOIN LATERAL (SELECT gen_random_uuid() AS id WHERE u.id IS NOT NULL) e";
    stack.database().execute(events).await;
}
