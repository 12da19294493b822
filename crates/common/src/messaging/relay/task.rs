//! The relay's task: asks to lead, reads the rows that wait, has them published, deletes those that were confirmed.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::mark::Mark;
use super::outlet::Outlet;
use super::rows::Rows;
use super::wake;
use super::work::Work;
use crate::Timestamp;
use crate::database::{DEADLINE, Leadership, within};
use crate::messaging::broker::Broker;
use crate::messaging::change::Changes;
use crate::messaging::kafka::Kafka;
use crate::process::{Tasks, chain};
use crate::telemetry::Metrics;

/// How long an event waits at most whose commit woke no relay; also how often a stand-by asks to lead.
const POLL: Duration = Duration::from_secs(1);
/// How often the backlog is counted.
const MEASURE: Duration = Duration::from_secs(5);
/// Rows that one read takes at most. A read takes no more than can be begun with: rows that are left are read again.
const BATCH: u64 = 200;
/// A stand-by tells of its commits no more often than this.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end waits for confirmations that are due; what is not confirmed by then is sent again.
const LAST_CONFIRMS: Duration = Duration::from_secs(2);

/// Publishes the service's outbox, in a task of its own, for as long as the service lives. Returns at once.
pub fn spawn_relay(changes: &Changes, broker: Broker, metrics: Metrics, tasks: &Tasks) {
    let committed = changes.outbox().committed();
    let relay = Relay::new(changes, (Outlet::Broker(broker), committed), metrics, tasks);
    tasks.spawn("outbox relay", relay.run());
}

/// Publishes what is written for Kafka, for as long as the service lives: a relay of its own, which holds up no other and
/// is held up by none. Does nothing where `changes` write no events for Kafka (see [`Changes::and_for_kafka`]).
pub fn spawn_kafka_relay(changes: &Changes, kafka: Kafka, metrics: Metrics, tasks: &Tasks) {
    if let Some(committed) = changes.outbox().committed_for_kafka() {
        let relay = Relay::new(changes, (Outlet::Kafka(kafka), committed), metrics, tasks);
        tasks.spawn("Kafka relay", relay.run());
    }
}

struct Relay {
    rows: Rows,
    outlet: Outlet,
    committed: Arc<Notify>,
    metrics: Metrics,
    stopping: CancellationToken,
}

impl Relay {
    /// The relay of `outlet`, which `committed` wakes.
    fn new(changes: &Changes, (outlet, committed): (Outlet, Arc<Notify>), metrics: Metrics, tasks: &Tasks) -> Self {
        Self {
            rows: Rows {
                database: changes.database().clone(),
                table: outlet.table(),
            },
            outlet,
            committed,
            metrics,
            stopping: tasks.stopping().clone(),
        }
    }

    async fn run(self) {
        let mut leadership = Leadership::of(&self.rows.database, self.outlet.right());
        // Whatever is awaited in here is dropped when the service stops: a statement that hangs does not hold up the end.
        while let Some(asked) = self.stopping.run_until_cancelled(Box::pin(leadership.ask())).await {
            match asked {
                Ok(true) => {
                    let mut work = Work::of(&self.outlet);
                    let leading = async {
                        tokio::select! {
                            () = self.lead(&mut leadership, &mut work) => {}
                            () = wake::listen(&self.rows.database, self.outlet.table(), &self.committed) => {}
                        }
                    };
                    if self.stopping.run_until_cancelled(Box::pin(leading)).await.is_none() {
                        self.finish(work).await;
                    }
                }
                Ok(false) => tracing::debug!(outbox = self.outlet.table(), "another relay leads"),
                Err(error) => tracing::warn!(error = chain(&error), "the relay can't ask for its lock"),
            }
            let standing_by = self.stand_by(&mut leadership);
            self.stopping.run_until_cancelled(standing_by).await;
        }
        leadership.give_up().await;
    }

    /// Waits until it is time to ask again; meanwhile whoever leads is told of what is committed here.
    async fn stand_by(&self, leadership: &mut Leadership) {
        let until = Instant::now() + POLL;
        // The time is checked on its own: where commits never cease, the wait for one never runs into its timeout.
        while Instant::now() < until && timeout_at(until, self.committed.notified()).await.is_ok() {
            leadership.tell(self.outlet.table()).await;
            sleep(GATHER).await;
        }
    }

    /// Leads until the lock is lost.
    async fn lead(&self, leadership: &mut Leadership, work: &mut Work) {
        tracing::info!(outbox = self.outlet.table(), "the relay leads");
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut measured: Option<Instant> = None;
        let mut look = true;
        loop {
            let ready = self.outlet.is_ready();
            if look && ready {
                self.look(work).await;
            }
            let next_probe = work.next_probe(Instant::now());
            let next_mark = work.mark.due().filter(|_| self.rows.database.is_postgres());
            look = tokio::select! {
                biased;
                _ = poll.tick() => {
                    if !leadership.is_held().await {
                        tracing::warn!(outbox = self.outlet.table(), "the relay lost its lock and stands by");
                        self.outlet.stands_by(&self.metrics);
                        return;
                    }
                    if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
                        measured = Some(Instant::now());
                        self.measure(work.mark.at()).await;
                    }
                    if self.rows.database.is_postgres() {
                        self.move_mark(&mut work.mark).await;
                        self.look_before_the_mark(&mut work.mark).await;
                    }
                    true
                }
                Some(any_confirmed) = work.next_published() => {
                    self.delete(work).await;
                    any_confirmed
                }
                () = sleep_until(next_mark.unwrap_or_else(Instant::now)), if next_mark.is_some() => {
                    self.move_mark(&mut work.mark).await;
                    true
                }
                () = self.committed.notified() => true,
                () = self.outlet.ready(), if !ready => true,
                () = sleep_until(next_probe.unwrap_or_else(Instant::now)), if ready && next_probe.is_some() => true,
            };
        }
    }

    /// Reads what may be published now and begins to publish it.
    async fn look(&self, work: &mut Work) {
        self.delete(work).await;
        let now = Instant::now();
        if !work.has_room(now) {
            return;
        }
        if work.is_refused_for_long(now) {
            self.outlet.connect_anew();
        }
        for kind in work.due_for_a_probe(now) {
            let not_now = work.not_now(now);
            let probe = self.rows.probe(&kind, &not_now, BATCH);
            match within(DEADLINE, probe).await {
                // None of it waits, or all of it behind another type that does.
                Ok(rows) if rows.is_empty() => work.release(&kind),
                Ok(rows) => work.probe(kind, rows, &self.outlet, &self.metrics),
                Err(error) => tracing::warn!(error = chain(&error), "the outbox can't be read"),
            }
        }
        self.try_again(work, now).await;
        let not_now = work.not_now(now);
        let takes = u64::try_from(self.outlet.takes()).unwrap_or(u64::MAX);
        let next = self.rows.next(&not_now, BATCH.min(work.room()).min(takes));
        match within(DEADLINE, next).await {
            Ok(rows) => work.begin(rows, &self.outlet, &self.metrics),
            Err(error) => tracing::warn!(error = chain(&error), "the outbox can't be read"),
        }
    }

    /// Tries again one of the aggregates whose messages could not go, if one is due.
    async fn try_again(&self, work: &mut Work, now: Instant) {
        let Some((aggregate, id)) = work.due_for_another_try(now) else {
            return;
        };
        match within(DEADLINE, self.rows.with_id(id)).await {
            Ok(rows) => work.try_again(aggregate, rows, &self.outlet, &self.metrics),
            Err(error) => {
                work.not_tried(aggregate, now);
                tracing::warn!(error = chain(&error), "the outbox can't be read");
            }
        }
    }

    /// Deletes what was confirmed. What can't be deleted now is remembered, and nothing new is read before it is deleted.
    async fn delete(&self, work: &mut Work) {
        while let Some(ids) = work.confirmed() {
            if let Err(error) = within(DEADLINE, self.rows.delete(&ids)).await {
                tracing::warn!(error = chain(&error), "confirmed outbox rows can't be deleted yet");
                return;
            }
            work.forget_confirmed(ids.len());
        }
    }

    /// Takes the next step of moving the mark (`mark.rs`), and shows where it is.
    async fn move_mark(&self, mark: &mut Mark) {
        let moving = async {
            if mark.is_behind()
                && let Some(id) = mark.sees(self.rows.writers().await?, Instant::now())
            {
                // Asked for after the writers were seen to be gone, so that their rows are seen.
                let first = self.rows.first_behind(mark.at()).await?;
                mark.moves_to(id, first);
            }
            Ok::<_, DbErr>(())
        };
        if let Err(error) = within(DEADLINE, moving).await {
            tracing::debug!(error = chain(&error), "the mark stays where it is");
        }
        mark.was_looked_after(Instant::now());
        self.outlet
            .shows_mark(&self.metrics, mark.at(), mark.oldest_writer(Instant::now()));
    }

    /// Once a minute makes sure that nothing lies before the mark.
    async fn look_before_the_mark(&self, mark: &mut Mark) {
        if !mark.wants_the_whole(Instant::now()) {
            return;
        }
        match within(DEADLINE, self.rows.first()).await {
            Ok(first) if mark.sees_the_whole(first, Instant::now()) => {
                tracing::error!("an event was committed unusually late, behind newer ones; it is published now");
            }
            Ok(_) => {}
            Err(error) => {
                mark.misses_the_whole(Instant::now());
                tracing::warn!(
                    error = chain(&error),
                    "events that were committed late can't be looked for yet"
                );
            }
        }
    }

    async fn measure(&self, mark: i64) {
        // The age first: it is shown even when the count takes too long.
        if let Ok(oldest) = within(DEADLINE, self.rows.oldest(mark)).await {
            let age = oldest.map_or(Duration::ZERO, |created_at| Timestamp::now().since(created_at));
            self.outlet.shows_oldest_age(&self.metrics, age);
            if oldest.is_none() {
                self.outlet.nothing_waits();
            }
        }
        if let Ok(count) = within(DEADLINE, self.rows.count()).await {
            self.outlet.shows_pending(&self.metrics, count);
        }
    }

    /// Waits for the aggregates that are on their way and deletes what is confirmed; begins no other.
    async fn finish(&self, mut work: Work) {
        let rest = async {
            self.delete(&mut work).await;
            while work.next_published().await.is_some() {
                self.delete(&mut work).await;
            }
        };
        if timeout(LAST_CONFIRMS, rest).await.is_err() {
            self.outlet.stands_by(&self.metrics);
        }
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
