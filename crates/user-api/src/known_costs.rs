//! What the hashes cost that are already stored: found out once, at the start.

use std::time::Duration;

use common::{
    database::{Database, within_deadline},
    process::Tasks,
};

use crate::{passwords::Passwords, tables::users};

/// Accounts that are looked at: the oldest, among which are those whose hash was not renewed for longest. The cost of any
/// other is learned when somebody tries to log in there.
const ACCOUNTS: u64 = 200;
/// Pause between two tries.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// Tells the passwords which costs the hashes of the oldest accounts have, as soon as the database answers.
pub(crate) fn learn(passwords: Passwords, database: Database, tasks: &Tasks) {
    let stopping = tasks.stopping().clone();
    tasks.spawn("costs of stored hashes", async move {
        let learning = async {
            loop {
                match within_deadline(users::oldest_hashes(database.read(), ACCOUNTS)).await {
                    Ok(hashes) => return hashes.iter().for_each(|hash| passwords.expect_cost_of(hash)),
                    Err(_) => tokio::time::sleep(RETRY_EVERY).await,
                }
            }
        };
        stopping.run_until_cancelled(learning).await;
    });
}
