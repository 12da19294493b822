//! Who signed up, and what each of them got.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::eventually;

use crate::client::{Client, PATIENCE};
use crate::fleet::{Fleet, Services};

/// The people so far, each with a phone number of their own.
#[derive(Default)]
pub(crate) struct Tally {
    people: Vec<(String, String)>,
}

impl Tally {
    /// So many people sign up, by turns at each of these, all at once.
    pub(crate) async fn sign_up(&mut self, at: &[&Services], when: &str, people: usize) {
        let first = self.people.len();
        let new: Vec<_> = (first..first + people)
            .map(|n| (format!("p{n}@example.com"), format!("+1555010{n:04}")))
            .collect();
        let calls = new.iter().enumerate().map(|(n, (email, phone))| {
            let client = &at[n % at.len()].client;
            sign_up(client, email, phone, when)
        });
        join_all(calls).await;
        self.people.extend(new);
    }

    /// Waits until everybody has a mail, an SMS and a notification; holds that nobody has two.
    pub(crate) async fn settled(&self, fleet: &Fleet, when: &str) {
        let sent = self.people.len();
        let received = eventually(PATIENCE, || async {
            let received = [fleet.smtp.per_recipient(), texted(fleet).await, notified(fleet).await];
            received.iter().all(|each| each.len() >= sent).then_some(received)
        })
        .await;
        let key = |n: usize, (email, phone): &(String, String)| if n == 1 { phone.clone() } else { email.clone() };
        for (n, (what, each)) in ["mails", "SMS", "notifications"].iter().zip(&received).enumerate() {
            let lost = self
                .people
                .iter()
                .filter(|person| !each.contains_key(&key(n, person)))
                .count();
            let doubled = each.values().filter(|count| **count > 1).count();
            println!(
                "{when}: {what}: sent {sent}, received {}, lost {lost}, doubled {doubled}",
                each.len()
            );
            assert_eq!((each.len(), lost, doubled), (sent, 0, 0), "{when}: {what}: {each:?}");
        }
        eventually(PATIENCE, || async { fleet.texts(LEFT).await == ["0 0 0"] }).await;
    }

    /// Whoever logs in at one of these is known to all of them: same accounts, same keys, same notifications.
    pub(crate) async fn may_read(&self, at: &[&Services]) {
        let (email, _) = self.people.last().unwrap();
        for issuer in at {
            let token = issuer.client.log_in(email).await;
            for other in at {
                // A gateway reads new keys when it meets one that it does not know.
                let list = eventually(PATIENCE, || async {
                    let list = other.client.notifications(&token).await;
                    (!list.is_empty()).then_some(list)
                })
                .await;
                assert_eq!(list.len(), 1, "{list:?}");
            }
        }
    }
}

/// One person signs up, again and again while a service has too much to do.
async fn sign_up(client: &Client, email: &str, phone: &str, when: &str) {
    let was_refused = Cell::new(false);
    eventually(PATIENCE, || async {
        let answer = client.sign_up_with(email, json!({"phone": phone}), None).await;
        let (status, body) = answer.unwrap_or_else(|| panic!("{when}: no answer"));
        match status {
            201 => true,
            503 => {
                was_refused.set(true);
                false
            }
            // One that was refused may have been a sign-up.
            409 if was_refused.get() => true,
            _ => panic!("{when}: {status} {body}"),
        }
    })
    .await;
}

/// What waits for the broker or to be sent.
const LEFT: &str = "SELECT concat_ws(' ',
    (SELECT count(*) FROM user_api.outbox) + (SELECT count(*) FROM email_worker.outbox),
    (SELECT count(*) FROM email_worker.deliveries WHERE status IN ('pending', 'sending')),
    (SELECT count(*) FROM notification_gateway.deliveries WHERE status IN ('pending', 'sending')))";

/// How many SMS the provider got for each number.
async fn texted(fleet: &Fleet) -> BTreeMap<String, usize> {
    let url = format!("http://{}/sandbox/requests?provider=sms", fleet.sandbox);
    let list: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let mut counts = BTreeMap::new();
    for request in list["items"].as_array().unwrap() {
        let body = request["body"].as_str().unwrap();
        let form = url::form_urlencoded::parse(body.as_bytes());
        for (_, number) in form.filter(|(name, _)| name == "To") {
            *counts.entry(number.into_owned()).or_default() += 1;
        }
    }
    counts
}

/// How many notifications each person has.
async fn notified(fleet: &Fleet) -> BTreeMap<String, usize> {
    let query = "SELECT r.email FROM notification_gateway.notifications n JOIN notification_gateway.recipients r USING (user_id)";
    let mut counts = BTreeMap::new();
    for email in fleet.texts(query).await {
        *counts.entry(email).or_default() += 1;
    }
    counts
}
