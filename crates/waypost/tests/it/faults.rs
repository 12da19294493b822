use test_support::{Namespace, PrivateRabbit, PrivateRedis, eventually};

use crate::client::{PATIENCE, wait_until};
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_while_the_broker_is_away_is_mailed_once_when_it_is_back() {
    let mut rabbit = PrivateRabbit::prepare();
    let servers = Servers {
        amqp: rabbit.url(),
        namespace: Namespace::unique(),
        ..Servers::shared()
    };
    let stack = Stack::start(servers).await;
    wait_until(&stack.users_operations, "degraded").await;

    let (status, body) = stack.client.sign_up("waits@example.com").await.unwrap();
    assert_eq!(status, 201, "{body}");
    rabbit.start().await;

    stack.smtp.wait_for(1, PATIENCE).await;
    wait_until(&stack.users_operations, "up").await;
    // A second person's mail comes after any second copy of the first one's.
    stack.client.sign_up("after@example.com").await.unwrap();
    eventually(PATIENCE, || async {
        !stack.smtp.mails_to("after@example.com").is_empty()
    })
    .await;
    assert_eq!(stack.smtp.mails_to("waits@example.com").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_restarts_under_a_running_system_and_nothing_is_lost_or_doubled() {
    let mut rabbit = PrivateRabbit::prepare();
    rabbit.start().await;
    let servers = Servers {
        amqp: rabbit.url(),
        namespace: Namespace::unique(),
        ..Servers::shared()
    };
    let stack = Stack::start(servers).await;
    stack.up().await;
    let names: Vec<String> = (0..40).map(|n| format!("restart{n}@example.com")).collect();
    for (n, name) in names.iter().enumerate() {
        if n == 20 {
            rabbit.kill();
        }
        assert_eq!(stack.client.sign_up(name).await.unwrap().0, 201);
    }
    rabbit.start().await;
    eventually(PATIENCE, || async { stack.smtp.per_recipient().len() == names.len() }).await;
    let doubled: Vec<_> = stack
        .smtp
        .per_recipient()
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .collect();
    println!(
        "broker killed at 20 of {}: mailed {}, lost 0, doubled {}",
        names.len(),
        names.len(),
        doubled.len()
    );
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_sign_up_and_reads_still_answer_and_it_heals() {
    let mut redis = PrivateRedis::start().await;
    let servers = Servers {
        redis: redis.url(),
        ..Servers::shared()
    };
    let stack = Stack::start(servers).await;
    stack.up().await;
    let (_, user) = stack.client.sign_up("before@example.com").await.unwrap();
    let id = user["id"].as_str().unwrap().to_owned();
    let token = stack.client.log_in("before@example.com").await;
    assert_eq!(stack.client.read_user(&id, &token).await, 200);

    redis.kill();
    wait_until(&stack.users_operations, "degraded").await;
    for n in 0..20 {
        assert_eq!(stack.client.read_user(&id, &token).await, 200);
        assert_eq!(
            stack
                .client
                .sign_up(&format!("without{n}@example.com"))
                .await
                .unwrap()
                .0,
            201
        );
    }

    redis.start().await;
    wait_until(&stack.users_operations, "up").await;
    assert_eq!(stack.client.read_user(&id, &token).await, 200);
}
