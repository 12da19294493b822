//! The relay's task: asks to lead, reads what waits, deletes what is through.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::leader::Leadership;
use super::work::Work;
use crate::Timestamp;
use crate::database::{Database, within};
use crate::messaging::broker::Broker;
use crate::messaging::change::Changes;
use crate::messaging::outbox::row;
use crate::process::{Tasks, chain};
use crate::telemetry::Metrics;

/// How long a commit that woke nobody (another replica's) waits at most; also how often a stand-by asks to lead.
const POLL: Duration = Duration::from_secs(1);
/// How often the backlog is counted.
const MEASURE: Duration = Duration::from_secs(5);
/// Rows that one read takes at most. No more than can be begun: rows that are read and left are read again.
const BATCH: u64 = 200;
/// Longest for one statement of ours; the pool's and the server's own limits are shorter.
const STATEMENT: Duration = Duration::from_secs(5);
/// How long the end waits for confirmations that are due; what it misses is sent again.
const LAST_CONFIRMS: Duration = Duration::from_secs(2);

/// Publishes the service's outbox for as long as the service lives.
pub fn spawn_relay(changes: &Changes, broker: Broker, metrics: Metrics, tasks: &Tasks) {
    let relay = Relay {
        database: changes.database().clone(),
        broker,
        committed: changes.outbox().committed(),
        metrics,
        stopping: tasks.stopping().clone(),
    };
    tasks.spawn("outbox relay", relay.run());
}

struct Relay {
    database: Database,
    broker: Broker,
    committed: Arc<Notify>,
    metrics: Metrics,
    stopping: CancellationToken,
}

impl Relay {
    async fn run(self) {
        let mut leadership = Leadership::of(&self.database);
        while !self.stopping.is_cancelled() {
            match leadership.ask().await {
                Ok(true) => self.lead(&mut leadership).await,
                Ok(false) => tracing::debug!("another relay leads"),
                Err(error) => tracing::warn!(error = chain(&error), "the relay can't ask for its lock"),
            }
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        leadership.give_up().await;
    }

    async fn lead(&self, leadership: &mut Leadership) {
        tracing::info!("the relay leads");
        let mut work = Work::new(self.broker.window());
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut measured: Option<Instant> = None;
        let mut look = true;
        loop {
            let ready = self.broker.is_ready();
            if look && ready {
                self.look(&mut work).await;
            }
            look = tokio::select! {
                biased;
                () = self.stopping.cancelled() => break,
                _ = poll.tick() => {
                    if !leadership.is_held().await {
                        tracing::warn!("the relay lost its lock and stands by");
                        self.metrics.outbox_pending(0);
                        self.metrics.outbox_oldest_age(Duration::ZERO);
                        return;
                    }
                    if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
                        measured = Some(Instant::now());
                        self.measure().await;
                    }
                    true
                }
                Some(any_confirmed) = work.next_published() => {
                    self.delete(&mut work).await;
                    any_confirmed
                }
                () = self.committed.notified() => true,
                () = self.broker.ready(), if !ready => true,
            };
        }
        self.finish(work).await;
    }

    /// Reads what may be published now and begins to.
    async fn look(&self, work: &mut Work) {
        self.delete(work).await;
        if !work.has_room(Instant::now()) {
            return;
        }
        match within(STATEMENT, self.read(work.not_now(), work.room())).await {
            Ok(rows) => work.begin(rows, &self.broker, &self.metrics),
            Err(error) => tracing::warn!(error = chain(&error), "the outbox can't be read"),
        }
    }

    async fn read(&self, not_now: Vec<uuid::Uuid>, room: u64) -> Result<Vec<row::Model>, DbErr> {
        let mut due = row::Entity::find().order_by_asc(row::Column::Id).limit(BATCH.min(room));
        if !not_now.is_empty() {
            due = due.filter(row::Column::Aggregate.is_not_in(not_now));
        }
        due.all(self.database.read()).await
    }

    /// Deletes what was confirmed. What can't be deleted now is kept in mind: nothing is read before it is.
    async fn delete(&self, work: &mut Work) {
        while let Some(ids) = work.confirmed() {
            let gone = row::Entity::delete_many()
                .filter(row::Column::Id.is_in(ids.iter().copied()))
                .exec(self.database.write());
            if let Err(error) = within(STATEMENT, gone).await {
                tracing::warn!(error = chain(&error), "confirmed outbox rows can't be deleted yet");
                return;
            }
            work.forget_confirmed(ids.len());
        }
    }

    async fn measure(&self) {
        let rows = row::Entity::find();
        let count = rows.clone().count(self.database.read());
        let oldest = rows
            .select_only()
            .column(row::Column::CreatedAt)
            .order_by_asc(row::Column::Id);
        let oldest = oldest.into_tuple::<(Timestamp,)>().one(self.database.read());
        // The age first, and whatever becomes of the count: of very many rows it may take too long.
        if let Ok(oldest) = within(STATEMENT, oldest).await {
            let age = oldest.map_or(Duration::ZERO, |(created_at,)| Timestamp::now().since(created_at));
            self.metrics.outbox_oldest_age(age);
        }
        if let Ok(count) = within(STATEMENT, count).await {
            self.metrics.outbox_pending(count);
        }
    }

    /// Takes the confirmations that are due; begins nothing new.
    async fn finish(&self, mut work: Work) {
        let rest = async {
            while work.next_published().await.is_some() {
                self.delete(&mut work).await;
            }
        };
        let _ = timeout(LAST_CONFIRMS, rest).await;
    }
}
