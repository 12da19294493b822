//! A consumer that writes one delivery for each message, which nobody sends: what taking a message in costs, and no more.

use std::{future::ready, process::ExitCode};

use common::{
    Timestamp,
    dispatch::{NewDelivery, enqueue_last},
    messaging::{Change, Intake, Message, Rejection},
    operations::{Known, Tables},
    process::{Need, Tasks, run_service},
    service::{Kit, Parts},
};
use contracts::{events::UserRegistered, topology::EMAIL_WORKER_EVENTS};
use migrations::Owner;

/// A channel that no dispatcher knows.
pub(super) const CHANNEL: &str = "bench";

struct OneRow;

impl Intake for OneRow {
    const SHARES_A_CHANGE: bool = true;

    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        let UserRegistered { person } = message.decode()?;
        let delivery = NewDelivery::new(message.id, CHANNEL, person.email, CHANNEL.to_owned());
        enqueue_last(change, &delivery, Timestamp::now());
        Ok(())
    }
}

pub(super) fn serve() -> ExitCode {
    run_service(|settings: email_worker::Settings, tasks| start(settings, tasks))
}

async fn start(settings: email_worker::Settings, tasks: Tasks) -> anyhow::Result<()> {
    let parts = Parts {
        tables: migrations::of(Owner::EmailWorker).names(),
        broker: None,
        broker_is: Need::Required,
        tells_events: false,
    };
    let mut kit = Kit::open(&settings, &tasks, parts).await?;
    kit.consume(EMAIL_WORKER_EVENTS, OneRow);
    kit.journeys(Tables::InboxAndDeliveries, |_| ready(Ok(Known::default())));
    kit.serve_operations()?;
    Ok(())
}
