use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::eventually;

use super::for_a_while;
use super::load::{Call, SignUp, during, sign_up, within};
use super::tally::{accounts, mostly_done, settled};
use crate::client::{PATIENCE, has_breaker};
use crate::stack::{Servers, Stack};

const OPEN: u8 = 2;
const CLOSED: u8 = 0;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_and_then_fails_slows_nothing_else_and_gets_each_message_once() {
    let servers = Servers::shared()
        .set("PROVIDERS__SMS__TRY_TIMEOUT_MS", "1000")
        .set("PROVIDERS__SMS__CALL_TIMEOUT_MS", "2500");
    let stack = Stack::start(servers).await;
    stack.up().await;
    let mut calls = phase(&stack, "well", 201, Duration::from_secs(4)).await;
    let well = effects(&stack, "well", &calls).await;

    fault(&stack, Some(json!({"mode": "hang"}))).await;
    let hanging = Instant::now();
    let hung = async {
        let seen = async {
            eventually(PATIENCE, || async { breaker(&stack, OPEN).await }).await;
            hanging.elapsed()
        };
        tokio::join!(seen, phase(&stack, "hung", 202, Duration::from_secs(6)))
    };
    let (opened, hung) = hung.await;
    println!("the breaker was seen open {opened:?} after the hang began");
    // While it hangs still, everybody's mail and notification arrive.
    let meanwhile = effects(&stack, "hung", &hung).await;
    compare("hanging", &well, &meanwhile);

    fault(&stack, Some(json!({"status": 500}))).await;
    let failed = phase(&stack, "failed", 203, Duration::from_secs(4)).await;
    // The same while it fails.
    let meanwhile = effects(&stack, "failed", &failed).await;
    compare("answering 500", &well, &meanwhile);

    fault(&stack, None).await;
    calls.extend(hung.into_iter().chain(failed));
    let repaired = Instant::now();
    let people = accounts(&stack).await;
    let accepted = "SELECT count(*)::text FROM notification_gateway.deliveries
                    WHERE channel = 'sms' AND status IN ('accepted', 'delivered')";
    eventually(PATIENCE * 2, || async {
        stack.texts(accepted).await == [people.to_string()]
    })
    .await;
    eventually(PATIENCE, || async { breaker(&stack, CLOSED).await }).await;
    let (taken, all) = taken_by_number(&stack).await;
    let doubled = taken.values().filter(|keys| keys.len() > 1).count();
    let again = all - taken.values().map(BTreeSet::len).sum::<usize>();
    println!(
        "SMS: sent {people}, received {}, lost {}, doubled {doubled}, {again} asked again under their key; all within {:?} of the repair",
        taken.len(),
        people - taken.len(),
        repaired.elapsed()
    );
    assert_eq!((taken.len(), doubled), (people, 0));
    settled(&stack, "provider hanging, then failing", &calls).await;
}

/// Ten sign-ups a second, all with a phone.
async fn phase(stack: &Stack, name: &'static str, area: u32, span: Duration) -> Vec<Call<SignUp>> {
    let calls = during(for_a_while(span), 10, sign_up(&stack.client, name, Some(area))).await;
    mostly_done(stack, &calls);
    calls
}

/// How long most sign-ups, their mails and their notifications took.
struct Effects {
    answer: Duration,
    mail: Duration,
    in_app: Duration,
}

/// Waits until everyone of a phase has mail and a notification, the phone's message or not.
async fn effects(stack: &Stack, name: &str, calls: &[Call<SignUp>]) -> Effects {
    let done: Vec<_> = calls.iter().filter(|call| call.what.is_done()).collect();
    let arrived = eventually(PATIENCE, || async {
        let mails = stack.smtp.mails();
        let to = |email: &str| mails.iter().find(|mail| mail.to == [email]).map(|mail| mail.at);
        done.iter()
            .map(|call| to(&call.what.email).map(|at| at - call.began))
            .collect::<Option<Vec<_>>>()
    })
    .await;
    let notified = format!(
        "SELECT (n.created_at - u.created_at)::text FROM notification_gateway.notifications n
         JOIN user_api.users u ON u.id = n.user_id WHERE u.email LIKE '{name}%'"
    );
    let notified = eventually(PATIENCE, || async {
        let found = stack.texts(&notified).await;
        (found.len() >= done.len()).then_some(found)
    })
    .await;
    let micros = |text: &String| Duration::from_micros(text.parse().unwrap_or_default());
    Effects {
        answer: within(95, calls.iter().map(|call| call.took)),
        mail: within(95, arrived),
        in_app: within(95, notified.iter().map(micros)),
    }
}

fn compare(fault: &str, well: &Effects, now: &Effects) {
    for (what, before, meanwhile) in [
        ("sign-up", well.answer, now.answer),
        ("mail", well.mail, now.mail),
        ("in-app", well.in_app, now.in_app),
    ] {
        println!("provider {fault}: {what} {meanwhile:?}, {before:?} when it is well (95%)");
    }
}

async fn fault(stack: &Stack, fault: Option<Value>) {
    let http = reqwest::Client::builder().build().unwrap();
    let url = format!("http://{}/sandbox/faults/sms", stack.sandbox);
    let request = match fault {
        Some(fault) => http.put(&url).json(&fault),
        None => http.delete(&url),
    };
    assert!(request.send().await.unwrap().status().is_success());
}

async fn breaker(stack: &Stack, state: u8) -> bool {
    has_breaker(&stack.gateway_operations, "sms", state).await
}

/// Under which keys the provider took messages, by the body's field with the number, and how many it took in all.
///
/// A machine with too much to do may see an answer too late and ask again; by the key that is the same message.
pub(super) async fn taken_by_number(stack: &Stack) -> (BTreeMap<String, BTreeSet<String>>, usize) {
    let http = reqwest::Client::builder().build().unwrap();
    let url = format!("http://{}/sandbox/requests?provider=sms", stack.sandbox);
    let requests: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    let (mut taken, mut all) = (BTreeMap::<_, BTreeSet<_>>::new(), 0);
    for request in requests["items"].as_array().unwrap() {
        if request["answered"].as_u64().is_some_and(|status| status < 300) {
            let number = request["body"]
                .as_str()
                .unwrap()
                .split('&')
                .find(|field| field.starts_with("To="));
            let key = request["headers"]["idempotency-key"].as_str().unwrap();
            taken
                .entry(number.unwrap().to_owned())
                .or_default()
                .insert(key.to_owned());
            all += 1;
        }
    }
    (taken, all)
}
