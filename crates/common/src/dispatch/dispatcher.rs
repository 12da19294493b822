//! The dispatcher's task: claims what is due and has a place, and hands it to sends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::DbErr;

use super::DispatchOptions;
use super::claim::{claim, oldest_due, reap};
use super::deliver::deliver;
use super::load::{Shared, Waker};
use super::sender::Sender;
use crate::Timestamp;
use crate::messaging::Changes;
use crate::process::{Tasks, chain};
use crate::telemetry::Metrics;

/// After a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often the age of the oldest due row is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// Starts a dispatcher; any number may work on one table.
///
/// It ends with `tasks`: takes no new work, finishes what is in hand, hands back what does not finish.
pub fn spawn_dispatcher<S: Sender>(
    changes: Changes,
    sender: S,
    options: DispatchOptions,
    metrics: Metrics,
    tasks: &Tasks,
) -> Waker {
    let stopping = tasks.stopping().clone();
    let shared = Arc::new(Shared::new(changes, sender, options, metrics, stopping));
    let waker = shared.waker();
    let owned = tasks.clone();
    tasks.spawn("dispatcher", async move { run(shared, owned).await });
    waker
}

async fn run<S: Sender>(shared: Arc<Shared<S>>, tasks: Tasks) {
    let mut reaped = None;
    let mut measured = None;
    while !shared.stopping.is_cancelled() {
        let pause = match round(&shared, &tasks, &mut reaped, &mut measured).await {
            Ok(()) => shared.options.poll,
            Err(error) => {
                tracing::warn!(error = chain(&error), "deliveries wait: the database can't be asked");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            () = shared.woken() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes up all that is due and has a place.
async fn round<S: Sender>(
    shared: &Arc<Shared<S>>,
    tasks: &Tasks,
    reaped: &mut Option<Instant>,
    measured: &mut Option<Instant>,
) -> Result<(), DbErr> {
    if is_due(*reaped, shared.options.poll) {
        let back = reap(&shared.database, &shared.in_hand(), Timestamp::now()).await?;
        if back > 0 {
            tracing::warn!(rows = back, "deliveries were left in the middle; they are tried again");
        }
        *reaped = Some(Instant::now());
    }
    while !shared.stopping.is_cancelled() {
        let Some(wanted) = shared.wanted() else { break };
        let rows = claim(&shared.database, &wanted, Timestamp::now()).await?;
        if rows.is_empty() {
            break;
        }
        for delivery in rows {
            let slot = shared.take(&delivery);
            let shared = Arc::clone(shared);
            tasks.spawn("delivery", async move {
                deliver(&shared, delivery).await;
                drop(slot);
            });
        }
    }
    // After the work, which it must not hold up: with very many rows due it may take too long.
    if is_due(*measured, MEASURE) {
        *measured = Some(Instant::now());
        if let Err(error) = measure(shared).await {
            tracing::warn!(error = chain(&error), "the oldest due deliveries can't be told");
        }
    }
    Ok(())
}

fn is_due(last: Option<Instant>, every: Duration) -> bool {
    last.is_none_or(|at| at.elapsed() >= every)
}

async fn measure<S: Sender>(shared: &Shared<S>) -> Result<(), DbErr> {
    let now = Timestamp::now();
    let oldest = oldest_due(&shared.database, now).await?;
    for channel in shared.options.channels {
        let since = oldest
            .iter()
            .find(|(name, _)| name == channel)
            .map(|(_, at)| now.since(*at));
        shared.metrics.delivery_oldest_due(channel, since.unwrap_or_default());
    }
    Ok(())
}
