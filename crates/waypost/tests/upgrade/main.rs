//! `make test-upgrade`: the version in production and this one, over the same tables, queues and keys.
//!
//! The programs of the commit in deploy/previous run on the new schema, and new ones beside them, as in a roll-out. People
//! sign up all the while, and everybody has one mail, one SMS and one notification in the end.
//!
//! Not part of `cargo test`: `scripts/previous.sh` builds the old programs, once, and `WAYPOST_PREVIOUS_BIN` says where they are.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(
    clippy::print_stdout,
    reason = "what was sent, received, lost and doubled is worth a look"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "WAYPOST_PREVIOUS_BIN is the test's own, and no setting of a service"
)]

#[path = "../it/client.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use more of it")]
mod client;
mod fleet;
mod tally;

use crate::fleet::{Fleet, Version};
use crate::tally::Tally;

/// People who sign up in each part of the roll-out.
const PEOPLE: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn in_a_roll_out_everybody_gets_each_message_once() {
    let fleet = Fleet::prepare().await;
    let mut tally = Tally::default();
    fleet.migrate(Version::Previous).await;
    let old = fleet.start(Version::Previous).await;
    tally.sign_up(&[&old], "before", PEOPLE).await;
    // Without waiting for what is under way.
    fleet.migrate(Version::This).await;
    tally.sign_up(&[&old], "old programs on the new schema", PEOPLE).await;
    tally.settled(&fleet, "old programs on the new schema").await;

    let new = fleet.start(Version::This).await;
    tally.sign_up(&[&old, &new], "both", 2 * PEOPLE).await;
    tally.settled(&fleet, "both side by side").await;
    tally.may_read(&[&old, &new]).await;

    tally.sign_up(&[&old, &new], "while the old ones end", PEOPLE).await;
    old.stop().await;
    tally.sign_up(&[&new], "after", PEOPLE).await;
    tally.settled(&fleet, "new programs alone").await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_taken_back_works_on_with_the_new_schema() {
    let fleet = Fleet::prepare().await;
    let mut tally = Tally::default();
    fleet.migrate(Version::This).await;
    let new = fleet.start(Version::This).await;
    tally.sign_up(&[&new], "new", PEOPLE).await;
    // What the new ones leave behind, the old ones find.
    new.stop().await;
    let old = fleet.start(Version::Previous).await;
    tally.sign_up(&[&old], "taken back", PEOPLE).await;
    tally.settled(&fleet, "taken back").await;
    tally.may_read(&[&old]).await;
    old.stop().await;
}
