//! How a commit of one replica wakes the relay of another: `LISTEN` and `NOTIFY`.
//!
//! The commit itself notifies nobody: PostgreSQL lets one notifying transaction commit at a time, and every sign-up would
//! stand in that queue. A replica that does not lead notifies the one that does after its commits, once for those that come
//! close together. A notification that is lost does no harm: the leader's poll finds the rows.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::database::{ANSWER, Database, lost, within};
use crate::process::chain;

/// Gives the channel's name, which is a service's own even where several share a database. PostgreSQL allows less than 64
/// bytes, and a schema's name may be as long by itself: so its hash stands there.
const NAME: &str = "SELECT 'waypost ' || $1 || ' ' || md5(current_schema())";
/// How often a listener that heard nothing makes sure that its connection lives.
const SILENCE: Duration = Duration::from_secs(30);
/// Wait before a listener that ended is made anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Wakes `committed` with every notification of another replica on `channel`. Never returns; on SQLite it never wakes.
///
/// # Cancel safety
/// It may be dropped at any time: the connection closes, and notifications are missed from then on.
pub(super) async fn listen(database: &Database, channel: &str, committed: &Arc<Notify>) {
    if !database.is_postgres() {
        return std::future::pending().await;
    }
    loop {
        if let Err(error) = hear(database, channel, committed).await {
            tracing::debug!(
                error = chain(&error),
                "commits of other replicas are found by the poll for now"
            );
        }
        sleep(AGAIN).await;
    }
}

/// Listens until the connection is lost.
async fn hear(database: &Database, channel: &str, committed: &Notify) -> Result<(), DbErr> {
    let mut ear = within(ANSWER, async { open(database, channel).await.map_err(lost) }).await?;
    // Commits from before this connection listened are looked for.
    committed.notify_one();
    loop {
        match timeout(SILENCE, ear.try_recv()).await {
            Ok(Ok(Some(_))) => committed.notify_one(),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(lost(error)),
            Err(_) => {
                let asked = async { sqlx::query("SELECT 1").execute(&mut ear).await.map_err(lost) };
                within(ANSWER, asked).await?;
            }
        }
    }
}

/// A listener on a connection of its own, so that it does not hold one of the pool's for good.
async fn open(database: &Database, channel: &str) -> Result<PgListener, sqlx::Error> {
    let options = database.unguarded().get_postgres_connection_pool().connect_options();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with((*options).clone());
    let mut ear = PgListener::connect_with(&pool).await?;
    ear.eager_reconnect(false);
    let channel: String = sqlx::query_scalar(NAME).bind(channel).fetch_one(&mut ear).await?;
    ear.listen(&channel).await?;
    Ok(ear)
}
