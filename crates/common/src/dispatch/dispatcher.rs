//! The dispatcher's task: claims due deliveries for which there is a place, and sends each in a task of its own.
//!
//! What another dispatcher left behind is made due again only when this one has reached the database for half a lease
//! without a break: after an outage all leases have run out, and every holder that lives must get to renew its own first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr};

use super::DispatchOptions;
use super::claim::{claim, give_back_untold, oldest_due, reap};
use super::contact::Contact;
use super::deliver::deliver;
use super::lease::{Peers, hear_others, keep_leases};
use super::load::{Shared, Waker};
use super::sender::Sender;
use crate::Timestamp;
use crate::database::within;
use crate::messaging::{Broker, Changes};
use crate::process::{Tasks, chain};
use crate::telemetry::Metrics;

/// Pause after a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Longest wait for one statement that claims or gives back; the server ends it sooner.
const STATEMENT: Duration = Duration::from_millis(2500);
/// How often the age of the oldest due row is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// Works on a table of deliveries; any number of dispatchers may work on one.
#[derive(Debug)]
pub struct Dispatcher<S> {
    /// The changes of the service, in whose database the deliveries are.
    pub changes: Changes,
    /// What sends them.
    pub sender: S,
    /// How it works.
    pub options: DispatchOptions,
    /// Over it, a dispatcher that does not reach the database tells the others what it has in hand. Without it, they believe
    /// such a dispatcher dead when its leases run out.
    pub broker: Option<Broker>,
}

impl<S: Sender> Dispatcher<S> {
    /// Starts it, in tasks of its own, and returns at once with what wakes it when rows are due.
    ///
    /// It ends with `tasks`: it takes no new work, hands back sends that have not begun, and waits for those that have, for
    /// [`DispatchOptions::drain`] at most.
    pub fn spawn(self, metrics: Metrics, tasks: &Tasks) -> Waker {
        let Self {
            changes,
            sender,
            options,
            broker,
        } = self;
        options.channels.iter().for_each(|channel| metrics.dispatches(channel));
        metrics.critical_times(S::EFFECTS);
        let stopping = tasks.stopping().clone();
        let shared = Arc::new(Shared::new(changes, sender, options, metrics, stopping));
        let waker = shared.waker();
        let service = tasks.service();
        let peers = broker.map(|broker| Peers { service, broker });
        tasks.spawn("leases", keep_leases(Arc::clone(&shared), peers.clone()));
        if let Some(peers) = peers {
            tasks.spawn("signs of life", hear_others(Arc::clone(&shared), peers));
        }
        let rounds = Rounds {
            shared,
            tasks: tasks.clone(),
            contact: Contact::default(),
            reaped: None,
            measured: None,
            untold: Vec::new(),
        };
        tasks.spawn("dispatcher", rounds.run());
        waker
    }
}

/// The dispatcher's rounds, and what one remembers of the last.
struct Rounds<S> {
    shared: Arc<Shared<S>>,
    tasks: Tasks,
    contact: Contact,
    reaped: Option<Instant>,
    measured: Option<Instant>,
    /// Claims that failed lately and may have taken rows all the same: when each was made, by the monotonic clock and by the
    /// wall clock.
    untold: Vec<(Instant, Timestamp)>,
}

impl<S: Sender> Rounds<S> {
    async fn run(mut self) {
        while !self.shared.stopping.is_cancelled() {
            let pause = match self.round().await {
                Ok(()) => self.shared.options.poll,
                Err(error) => {
                    self.contact.failed();
                    tracing::warn!(error = chain(&error), "deliveries wait: the database can't be asked");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = self.shared.stopping.cancelled() => {}
                () = self.shared.woken() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if !self.untold.is_empty() {
            let _ = self.give_back_untold().await;
        }
    }

    /// Claims and begins sends until nothing more may be claimed, or for [`DispatchOptions::poll`]; first gives back what
    /// was left behind or untold.
    async fn round(&mut self) -> Result<(), DbErr> {
        if !self.untold.is_empty() {
            self.give_back_untold().await?;
        }
        if is_due(self.reaped, self.shared.options.poll) {
            self.reap().await?;
            self.reaped = Some(Instant::now());
        }
        let began = Instant::now();
        while !self.shared.stopping.is_cancelled() {
            let Some(wanted) = self.shared.wanted() else { break };
            let (asked, now) = (Instant::now(), Timestamp::now());
            let claimed = within(STATEMENT, claim(&self.shared.database, &wanted, now)).await;
            let rows = claimed.inspect_err(|_| self.untold.push((asked, now)))?;
            if rows.is_empty() {
                break;
            }
            for delivery in rows {
                let slot = self.shared.take(&delivery, asked);
                let shared = Arc::clone(&self.shared);
                self.tasks.spawn("delivery", async move {
                    deliver(&shared, &slot.hold, delivery).await;
                    drop(slot);
                });
            }
            if began.elapsed() >= self.shared.options.poll {
                // However much is due, what others left behind and the measure get their turn. Then it goes on at once.
                self.shared.waker().wake();
                break;
            }
        }
        self.contact.succeeded(Instant::now());
        // After the work, which it must not hold up: with very many rows due it may take too long.
        if is_due(self.measured, MEASURE) {
            if let Err(error) = measure(&self.shared).await {
                tracing::warn!(
                    error = chain(&error),
                    "the age of the oldest due delivery can't be measured"
                );
            }
            self.measured = Some(Instant::now());
        }
        Ok(())
    }

    /// Makes due again what other dispatchers left behind. While the contact has not lasted, it only pings the database.
    async fn reap(&self) -> Result<(), DbErr> {
        let shared = &self.shared;
        if !self.contact.has_lasted(shared.options.lease / 2, Instant::now()) {
            let ping = shared.database.write().execute_unprepared("SELECT 1");
            return within(STATEMENT, ping).await.map(drop);
        }
        let spoken_for = shared.spoken_for();
        let reaping = reap(&shared.database, &spoken_for, Timestamp::now());
        for left in within(STATEMENT, reaping).await? {
            shared.metrics.maybe_sent(&left.channel, "holder_lost");
            tracing::warn!(delivery = %left.id, channel = left.channel, "a delivery was left in the middle; it is tried again and may arrive twice");
        }
        Ok(())
    }

    /// Makes due again what was taken by claims whose answers were lost. It is repeated for as long as a lease: a claim may
    /// reach the database long after it was given up here.
    async fn give_back_untold(&mut self) -> Result<(), DbErr> {
        let shared = &self.shared;
        let claims: Vec<_> = self.untold.iter().map(|(_, at)| *at).collect();
        let giving = give_back_untold(&shared.database, shared.holder, &claims, Timestamp::now());
        let rows = within(STATEMENT, giving).await?;
        if rows > 0 {
            tracing::warn!(rows, "the answer to a claim was lost; its deliveries are due again");
        }
        self.untold.retain(|(asked, _)| asked.elapsed() < shared.options.lease);
        Ok(())
    }
}

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= every)
}

async fn measure<S: Sender>(shared: &Shared<S>) -> Result<(), DbErr> {
    let now = Timestamp::now();
    let oldest = within(STATEMENT, oldest_due(&shared.database, now)).await?;
    for channel in shared.options.channels {
        let since = oldest
            .iter()
            .find(|(name, _)| name == channel)
            .map(|(_, at)| now.since(*at));
        shared.metrics.delivery_oldest_due(channel, since.unwrap_or_default());
    }
    Ok(())
}
