//! The task of a service that keeps its tables small.

use super::pruner::{Pruned, Pruner};
use crate::process::{Tasks, chain};

impl Pruner {
    /// Prunes again and again, for as long as the service lives.
    ///
    /// It waits before the first run. By then the messages have arrived that the broker kept while the service was away, and
    /// the inbox still knows those that it had taken in before.
    pub fn spawn(self, tasks: &Tasks) {
        for (table, _) in self.pruned() {
            self.metrics.rows_pruned(table.name, 0);
        }
        let stopping = tasks.stopping().clone();
        tasks.spawn("prune", async move {
            while stopping.run_until_cancelled(self.pause()).await.is_some() {
                let ended = async { self.run(self.now().await?, &stopping).await };
                match ended.await {
                    Ok(Pruned::Done(gone)) => tell(&gone),
                    Ok(Pruned::Taken) => {}
                    Ok(Pruned::Lost) => tracing::warn!("old rows are left to the next run: the lock was lost"),
                    Err(error) => tracing::warn!(error = chain(&error), "old rows can't be deleted"),
                }
            }
        });
    }

    /// Waits for `retention.every`, a quarter more or less, so that processes that started together do not ask together.
    async fn pause(&self) {
        tokio::time::sleep(self.retention.every.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
    }
}

fn tell(gone: &[(&'static str, u64)]) {
    for (table, rows) in gone.iter().filter(|(_, rows)| *rows > 0) {
        tracing::info!(table, rows, "rows that were kept long enough are deleted");
    }
}
