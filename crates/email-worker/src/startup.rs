//! Brings the service up: the same for the binary, for `waypost run` and for tests.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use common::dispatch::DispatchOptions;
use common::messaging::Broker;
use common::operations::{Known, Tables};
use common::process::{Need, Tasks};
use common::service::{Kit, Parts};
use contracts::topology::EMAIL_WORKER_EVENTS;
use migrations::Owner;

use crate::consumers::Events;
use crate::delivery::{CHANNEL, MailSender, Transport};
use crate::emails::Emails;
use crate::retention::TABLES;
use crate::settings::Settings;

/// Mails in hand at a time: twice as many as conversations that go on with a mail server, so that half of them may hang.
const PLACES: usize = 16;
/// Of these, mails to one domain: a domain whose mails all hang leaves room for others.
const PLACES_PER_DOMAIN: usize = 12;
/// The mail server's name in metrics.
const MAIL: &str = "mail";

/// What a process that holds several services shares between them.
#[derive(Default)]
pub struct Backends {
    /// The broker of the process; otherwise the settings say where it is.
    pub broker: Option<Broker>,
}

/// A running service; it ends with its tasks.
#[derive(Debug)]
pub struct Running {
    /// Where its operations port is.
    pub operations_address: SocketAddr,
}

/// Starts the service. Neither the broker nor the mail server nor PostgreSQL need be there yet.
///
/// # Errors
/// When a setting can't be used, the port is taken, or the tables are missing.
pub async fn start(settings: Settings, backends: Backends, tasks: Tasks) -> anyhow::Result<Running> {
    let emails = Emails::new(&settings.own.mail.from)?;
    let transport = Arc::new(Transport::new(&settings.own.mail)?);
    let parts = Parts {
        tables: migrations::of(Owner::EmailWorker).names(),
        broker: backends.broker,
        // Without it no mail is asked for.
        broker_is: Need::Required,
        tells_events: true,
    };
    let mut kit = Kit::open(&settings, &tasks, parts).await?;
    let shown = Arc::clone(&transport);
    kit.metrics
        .at_each_reading(move |metrics| metrics.destination_refuses(MAIL, shown.refuses()));
    // Without its mail server the service only falls behind.
    let asked = Arc::clone(&transport);
    kit.health
        .register(MAIL, Need::Optional, move || ready(asked.finding()));
    kit.relay();
    kit.prune(TABLES);
    kit.holds(vec![MAIL.to_owned()], vec![]);
    let options = DispatchOptions {
        places: PLACES,
        places_per_destination: PLACES_PER_DOMAIN,
        ..DispatchOptions::new(&settings, &[CHANNEL])
    };
    let dispatcher = kit.dispatch(MailSender::new(emails, transport), options);
    kit.consume(EMAIL_WORKER_EVENTS, Events { dispatcher });
    // This service knows addresses, but not whose they are: it adds nothing to what a key names.
    kit.journeys(Tables::InboxAndDeliveries, |_| ready(Ok(Known::default())));
    Ok(Running {
        operations_address: kit.serve_operations()?,
    })
}
