//! What belongs to a person stays where it is needed: in rows, messages, mails and calls.

use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::{Answer, Port, Stage, eventually};

use super::{Broker, arrived_everywhere, envelope, http, sms_calls};
use crate::client::{PATIENCE, scrape};
use crate::stack::{Servers, Stack};

/// Each is found nowhere by chance. The address is looked for by its first part, so also in pieces.
const ADDRESS: &str = "canary.address@example.com";
const ADDRESS_PART: &str = "canary.address";
const NAME: &str = "Canary McNameface";
const PASSWORD: &str = "canary password phrase";
const PHONE_DIGITS: &str = "15558675309";

/// Where none of it may be, with what was written there.
type Places = Vec<(String, String)>;

#[tokio::test(flavor = "multi_thread")]
async fn no_password_token_address_phone_or_name_is_in_logs_spans_metrics_or_dead_letter_headers() {
    let port = Port::reserve();
    let worker = format!("127.0.0.1:{}", port.number());
    let mut servers = Servers::shared();
    let ours = "info,common=debug,user_api=debug,email_worker=debug,notification_gateway=debug,provider_sandbox=debug";
    servers.settings = vec![
        ("EMAIL_WORKER__OPERATIONS__ADDRESS", worker.clone()),
        ("TELEMETRY__LOG_FILTER", ours.to_owned()),
    ];
    let stack = Stack::start(servers).await;
    stack.up().await;
    let broker = Broker::of(&stack).await;

    // The mail server quotes the address in a refusal that passes, the provider fails before it takes the SMS.
    let quote = format!("try later, <{ADDRESS}> is greylisted");
    stack.smtp.script(Stage::Recipient, [Answer::say(451, &quote)]);
    provider_fails_for(&stack, 500).await;
    let token = life(&stack).await;
    refused_requests(&stack, &token).await;
    arrived_everywhere(&stack, &token).await;
    refused_for_good(&stack).await;
    let dead = dead_letters(&stack, &broker).await;

    // All of it did go where it belongs.
    let mails = String::from_utf8_lossy(&stack.smtp.mails_to(ADDRESS)[0].data).into_owned();
    assert!(!hits(&vec![("the mail".to_owned(), mails)], &["McNameface"]).is_empty());
    assert!(
        sms_calls(&stack)
            .await
            .iter()
            .any(|call| call["body"].to_string().contains(PHONE_DIGITS))
    );

    let mut places: Places = dead;
    places.extend(metrics(&stack, &worker).await);
    places.extend(outputs_and_spans(&stack).await);
    let signature = token.rsplit('.').next().unwrap();
    let payload = token.split('.').nth(1).unwrap();
    let hits = hits(
        &places,
        &[
            ADDRESS_PART,
            "Canary",
            "McNameface",
            PASSWORD,
            PHONE_DIGITS,
            payload,
            signature,
        ],
    );
    println!(
        "{} places searched, {} bytes",
        places.len(),
        places.iter().map(|(_, text)| text.len()).sum::<usize>()
    );
    assert!(hits.is_empty(), "{hits}");
}

/// What each service shows at `/metrics`.
async fn metrics(stack: &Stack, worker: &str) -> Places {
    let mut places = Places::new();
    for address in [&stack.users_operations, &stack.gateway_operations, worker] {
        places.push((format!("metrics at {address}"), scrape(address).await.unwrap()));
    }
    places
}

/// Stops all processes, so that the last line and the last span are out.
async fn outputs_and_spans(stack: &Stack) -> Places {
    let mut places = Places::new();
    let processes = [&stack.users, &stack.gateway, &stack.workers[0], &stack.sandbox_process];
    for process in processes {
        process.terminate();
    }
    eventually(PATIENCE, || async {
        processes.iter().all(|process| ended(process.id()))
    })
    .await;
    for (name, process) in ["user-api", "notification-gateway", "email-worker", "sandbox"]
        .iter()
        .zip(processes)
    {
        places.push((format!("output of {name}"), process.output()));
    }
    let spans = stack.otlp.spans();
    assert!(spans.len() > 50, "{} spans", spans.len());
    for span in spans {
        places.push((format!("span {} of {}", span.name, span.service), format!("{span:?}")));
    }
    places
}

fn hits(places: &Places, canaries: &[&str]) -> String {
    let mut found = String::new();
    for (place, text) in places {
        let lower = text.to_lowercase();
        for canary in canaries {
            if let Some(at) = lower.find(&canary.to_lowercase()) {
                let around: String = lower
                    .chars()
                    .skip(lower[..at].chars().count().saturating_sub(200))
                    .take(400)
                    .collect();
                let _ = writeln!(found, "{place}: {canary} in ..{around}..");
            }
        }
    }
    found
}

fn ended(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // Gone, or a zombie that its parent has not asked about.
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}

async fn provider_fails_for(stack: &Stack, milliseconds: u64) {
    let url = format!("http://{}/sandbox/faults/sms", stack.sandbox);
    let fault = json!({"error_rate": 1.0, "status": 500, "for_ms": milliseconds});
    let answer = http().put(url).json(&fault).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

fn person() -> Value {
    json!({"email": ADDRESS, "name": NAME, "password": PASSWORD, "phone": format!("+{PHONE_DIGITS}")})
}

/// Signs up, logs in, changes, reads; gives back the access token.
async fn life(stack: &Stack) -> String {
    let users = stack.client.users();
    let http = http();
    let created = http
        .post(format!("{users}/v1/users"))
        .json(&person())
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
    let user: Value = created.json().await.unwrap();
    let credentials = json!({"email": ADDRESS, "password": PASSWORD});
    let tokens = http
        .post(format!("{users}/v1/sessions"))
        .json(&credentials)
        .send()
        .await
        .unwrap();
    let tokens: Value = tokens.json().await.unwrap();
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    let id = user["id"].as_str().unwrap();
    let patch = json!({"name": format!("{NAME} II"), "phone": format!("+{PHONE_DIGITS}1")});
    assert_eq!(stack.client.change_user(id, &token, &patch).await.0, 200);
    let wrong = json!({"phone": ADDRESS, "email": ADDRESS, NAME: PASSWORD});
    assert_eq!(stack.client.change_user(id, &token, &wrong).await.0, 422);
    assert_eq!(stack.client.read_user(id, &token).await, 200);
    assert_eq!(stack.client.stream(&token).await.next().await.unwrap()["seq"], 1);
    token
}

/// All that can be said wrongly with a person's data in it.
async fn refused_requests(stack: &Stack, token: &str) {
    let (users, gateway) = (stack.client.users(), stack.client.gateway());
    let http = http();
    let body = |text: String| {
        let post = http
            .post(format!("{users}/v1/users"))
            .header("content-type", "application/json");
        post.body(text).send()
    };
    let mut wrong = person();
    wrong["phone"] = json!(ADDRESS);
    wrong["locale"] = json!(NAME);
    let mut shape = person();
    shape["name"] = json!([NAME, PASSWORD]);
    let whole = person().to_string();
    let bodies = [
        whole.clone(),
        wrong.to_string(),
        shape.to_string(),
        whole[..whole.len() - 5].to_owned(),
        format!("\"{PASSWORD}\""),
    ];
    for (answer, expected) in join_all(bodies.map(body))
        .await
        .into_iter()
        .zip([409, 422, 422, 400, 422])
    {
        assert_eq!(answer.unwrap().status(), expected);
    }
    let guess = json!({"email": ADDRESS, "password": format!("{PASSWORD} not")});
    let answer = http
        .post(format!("{users}/v1/sessions"))
        .json(&guess)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    let query = format!("access_token={token}&email={ADDRESS}");
    for (url, expected) in [
        (format!("{users}/v1/users/me?{query}"), 401),
        (format!("{gateway}/v1/nothing?{query}"), 404),
        (format!("{gateway}/v1/notifications/stream?{query}"), 200),
    ] {
        assert_eq!(http.get(&url).send().await.unwrap().status(), expected, "{url}");
    }
    let mut forged = token.to_owned();
    forged.truncate(token.len() - 3);
    for base in [format!("{users}/v1/users/me"), format!("{gateway}/v1/notifications")] {
        assert_eq!(http.get(base).bearer_auth(&forged).send().await.unwrap().status(), 401);
    }
}

/// A mail server that will have none of the next person, and says so at length.
async fn refused_for_good(stack: &Stack) {
    let quote = format!("no mailbox <{ADDRESS}> for {NAME}, +{PHONE_DIGITS}");
    stack.smtp.script(Stage::Recipient, [Answer::say(550, &quote)]);
    let more = json!({"name": NAME, "phone": format!("+{PHONE_DIGITS}")});
    let answer = stack.client.sign_up_with(&format!("other.{ADDRESS}"), more, None).await;
    assert_eq!(answer.unwrap().0, 201);
    let database = stack.database().connect().await;
    eventually(PATIENCE, || async {
        use sea_orm::{ConnectionTrait, DbBackend, Statement};
        let failed = "SELECT 1 FROM email_worker.deliveries WHERE status IN ('failed', 'bounced', 'suppressed')";
        database
            .query_one_raw(Statement::from_string(DbBackend::Postgres, failed))
            .await
            .unwrap()
            .is_some()
    })
    .await;
}

/// Messages that nobody can work on, and the headers with which they were set aside.
async fn dead_letters(stack: &Stack, broker: &Broker) -> Places {
    // A second row with the same data is refused, again and again: this one uses up its attempts.
    for unique in [
        "email_worker.deliveries (recipient)",
        "notification_gateway.recipients (email)",
    ] {
        stack
            .database()
            .execute(&format!("CREATE UNIQUE INDEX ON {unique}"))
            .await;
    }
    let data = json!({
        "user_id": uuid::Uuid::now_v7(), "version": 1, "email": ADDRESS, "name": NAME,
        "locale": "en", "phone": format!("+{PHONE_DIGITS}"), "status": "active",
    });
    let mut wrong_type = data.clone();
    wrong_type["version"] = json!(ADDRESS);
    let mut wrong_id = data.clone();
    wrong_id["user_id"] = json!(NAME);
    // PostgreSQL takes no NUL.
    let mut unstorable = data.clone();
    unstorable["name"] = json!(format!("{NAME}\0"));
    let cut = data.to_string()[..120].to_owned();
    let kind = "user.registered.v1";
    let bodies = [data, wrong_type, wrong_id, unstorable].map(|data| data.to_string());
    for body in bodies.iter().chain([&cut]) {
        broker.publish(kind, &envelope(kind), body.as_bytes()).await;
    }
    let mut places = Places::new();
    for queue in ["email-worker.events", "notification-gateway.events"] {
        let letters = broker.dead_letters(queue, 5).await;
        assert!(
            letters
                .iter()
                .any(|letter| letter.headers.contains_key("waypost-last-error"))
        );
        for letter in letters {
            assert!(letter.body.len() > 50, "the body is kept as it came");
            for (name, text) in letter.headers {
                places.push((format!("header {name} of a dead letter of {queue}"), text));
            }
        }
    }
    places
}
