//! People who come, read and make mistakes, and a provider that fails for a while.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::embedded::Addresses;

const NEWCOMER_EVERY: Duration = Duration::from_millis(500);
const READ_EVERY: Duration = Duration::from_millis(40);
const MISTAKE_EVERY: Duration = Duration::from_secs(2);
const PASSWORD: &str = "a password for the demo";

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sign_ups: u64,
    pub(super) reads: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) provider: String,
}

struct Life<'a> {
    client: &'a Client,
    users: String,
    gateway: String,
    sandbox: Option<SocketAddr>,
    end: Instant,
    people: RefCell<Vec<Person>>,
    tally: RefCell<Tally>,
}

#[derive(Clone)]
struct Person {
    id: String,
    token: String,
}

/// Lives for `length`. All of it runs side by side on the caller's task.
pub(super) async fn life(client: &Client, at: &Addresses, length: Duration) -> Tally {
    let life = Life {
        client,
        users: format!("http://{}", at.user_api),
        gateway: format!("http://{}", at.notification_gateway),
        sandbox: at.provider_sandbox,
        end: Instant::now() + length,
        people: RefCell::default(),
        tally: RefCell::default(),
    };
    tokio::join!(
        life.each(NEWCOMER_EVERY, async |n| life.newcomer(n).await),
        life.each(READ_EVERY, async |n| life.read(n).await),
        life.each(MISTAKE_EVERY, async |n| life.mistake(n).await),
        life.failing_provider(length),
    );
    life.tally.into_inner()
}

impl Life<'_> {
    /// Does `act` again and again until the end.
    async fn each(&self, every: Duration, act: impl AsyncFn(usize)) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for n in 0.. {
            ticks.tick().await;
            if Instant::now() >= self.end {
                return;
            }
            act(n).await;
        }
    }

    async fn newcomer(&self, n: usize) {
        let unique = Uuid::now_v7().simple().to_string();
        let email = format!("person.{}@example.com", &unique[20..]);
        let mut person = json!({"email": email, "name": "Somebody", "password": PASSWORD, "locale": "en"});
        if n.is_multiple_of(2) {
            person["phone"] = json!(format!("+1555{:07}", n % 10_000_000));
        }
        let created = self.client.post(format!("{}/v1/users", self.users)).json(&person);
        let Some(user) = self.answer(created, 201).await else {
            return;
        };
        self.tally.borrow_mut().sign_ups += 1;
        let credentials = json!({"email": email, "password": PASSWORD});
        let logged_in = self
            .client
            .post(format!("{}/v1/sessions", self.users))
            .json(&credentials);
        let Some(tokens) = self.answer(logged_in, 201).await else {
            return;
        };
        if let (Some(id), Some(token)) = (user["id"].as_str(), tokens["access_token"].as_str()) {
            let (id, token) = (id.to_owned(), token.to_owned());
            self.people.borrow_mut().push(Person { id, token });
        }
    }

    /// Most read their account, which the cache answers; some their notifications, which the database does.
    async fn read(&self, n: usize) {
        let person = {
            let people = self.people.borrow();
            if people.is_empty() {
                return;
            }
            people[n % people.len()].clone()
        };
        let url = if n.is_multiple_of(4) {
            format!("{}/v1/notifications", self.gateway)
        } else {
            format!("{}/v1/users/{}", self.users, person.id)
        };
        if self
            .answer(self.client.get(url).bearer_auth(person.token), 200)
            .await
            .is_some()
        {
            self.tally.borrow_mut().reads += 1;
        }
    }

    async fn mistake(&self, n: usize) {
        let (path, body, status) = if n.is_multiple_of(2) {
            (
                "sessions",
                json!({"email": "nobody@example.com", "password": "not the password"}),
                401,
            )
        } else {
            (
                "users",
                json!({"email": "no address", "name": "", "password": "short"}),
                422,
            )
        };
        let request = self.client.post(format!("{}/v1/{path}", self.users)).json(&body);
        if self.answer(request, status).await.is_some() {
            self.tally.borrow_mut().refused += 1;
        }
    }

    /// The SMS provider answers 503 for the second quarter of the time; the fault ends by itself.
    async fn failing_provider(&self, length: Duration) {
        tokio::time::sleep(length / 4).await;
        let milliseconds = u64::try_from((length / 4).as_millis()).unwrap_or(u64::MAX);
        let fault = json!({"error_rate": 1.0, "status": 503, "for_ms": milliseconds});
        let switched_on = match self.sandbox {
            Some(at) => {
                let request = self.client.put(format!("http://{at}/sandbox/faults/sms")).json(&fault);
                request.send().await.is_ok_and(|answer| answer.status().is_success())
            }
            None => false,
        };
        self.tally.borrow_mut().provider = if switched_on {
            format!("SMS answered 503 for {} s", (length / 4).as_secs())
        } else {
            "no sandbox answers, so none was made to fail".to_owned()
        };
    }

    /// The answer's document, when it has the status that was expected; a failure otherwise.
    async fn answer(&self, request: RequestBuilder, status: u16) -> Option<Value> {
        let answer = request.send().await.ok().filter(|answer| answer.status() == status);
        let document = match answer {
            Some(answer) => answer.json().await.ok(),
            None => None,
        };
        if document.is_none() {
            self.tally.borrow_mut().failed += 1;
        }
        document
    }
}
