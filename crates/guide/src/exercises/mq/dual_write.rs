//! mq-4: a change and the message that tells of it are there together, or not at all.

use std::time::Duration;

use tokio::time::timeout;

use super::office::{Broker, Database, dies_after};
use crate::exercises::exercise::Verdict;

/// People who sign up, half of them while the broker is away.
const PEOPLE: u32 = 20;
/// Points at which a process dies in turn: more than a sign-up or the relay has awaits.
const STEPS: usize = 24;
const SOON: Duration = Duration::from_secs(10);

/// Accounts whose sign-ups are told to others by a message; a learner writes it.
pub(crate) trait SignUps: Send + Sync + 'static {
    /// Makes the accounts of one process.
    fn new(database: Database, broker: Broker) -> Self;
    /// Signs a person up; false when the sign-up is refused.
    fn sign_up(&self, person: u32) -> impl Future<Output = bool> + Send;
    /// The relay, which is called again and again beside sign-ups, also after a process has died.
    fn relay(&self) -> impl Future<Output = ()> + Send;
}

pub(crate) async fn check<S: SignUps>() -> Verdict {
    let checks = async {
        while_away::<S>().await?;
        when_it_dies::<S>().await?;
        when_the_relay_dies::<S>().await
    };
    let checked = timeout(SOON, checks).await;
    checked.unwrap_or_else(|_| {
        Err("A sign-up or the relay never ended: each call does what it can, and returns.".into())
    })?;
    Ok(format!(
        "{PEOPLE} sign-ups with the broker away for half of them, and a death at each of {STEPS} steps: nobody without a \
         message, and no message without its person."
    ))
}

async fn while_away<S: SignUps>() -> Result<(), String> {
    let (database, broker) = (Database::default(), Broker::default());
    let accounts = S::new(database.clone(), broker.clone());
    let mut told = Vec::new();
    for person in 1..=PEOPLE {
        broker.is_away(person > PEOPLE / 2);
        if accounts.sign_up(person).await {
            told.push(person);
        }
    }
    accounts.relay().await;
    broker.is_away(false);
    accounts.relay().await;
    accounts.relay().await;
    let refused = PEOPLE as usize - told.len();
    if refused > 0 {
        return Err(format!(
            "{refused} of {PEOPLE} sign-ups were refused because the broker was away: nobody who signs up should wait for it."
        ));
    }
    let lost = told.iter().filter(|person| !broker.has(**person)).count();
    if lost > 0 {
        return Err(format!(
            "{lost} of {PEOPLE} people signed up, were told so, and no message tells of them: the broker was away when it was \
             published. Write the message into `outbox` in the transaction of the person, and publish it from there."
        ));
    }
    let left = database.read().await.outbox.len();
    if left > 0 {
        return Err(format!(
            "{left} rows of the outbox are still there after they were confirmed: they would be published for ever."
        ));
    }
    Ok(())
}

async fn when_it_dies<S: SignUps>() -> Result<(), String> {
    for steps in 0..STEPS {
        let (database, broker) = (Database::default(), Broker::default());
        dies_after(steps, S::new(database.clone(), broker.clone()).sign_up(1)).await;
        S::new(database.clone(), broker.clone()).relay().await;
        let (is_there, is_told) = (database.read().await.people.contains(&1), broker.has(1));
        if is_there && !is_told {
            return Err(
                "The process died in the middle of a sign-up: the person is there, and no message ever tells of them."
                    .into(),
            );
        }
        if is_told && !is_there {
            return Err(
                "The process died in the middle of a sign-up: a message tells of somebody who is not there.".into(),
            );
        }
    }
    Ok(())
}

async fn when_the_relay_dies<S: SignUps>() -> Result<(), String> {
    for steps in 0..STEPS {
        let (database, broker) = (Database::default(), Broker::default());
        S::new(database.clone(), broker.clone()).sign_up(1).await;
        dies_after(steps, S::new(database.clone(), broker.clone()).relay()).await;
        S::new(database.clone(), broker.clone()).relay().await;
        if !broker.has(1) {
            return Err("The relay died, and its message is gone: take a row out of the outbox when the broker has confirmed it, not before.".into());
        }
    }
    Ok(())
}
