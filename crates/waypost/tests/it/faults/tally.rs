//! What came of all that was promised: the last look of every fault test.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use test_support::eventually;

use super::load::{Call, SignUp};
use super::provider::taken_by_number;
use crate::client::{Met, PATIENCE};
use crate::stack::Stack;

/// The rows that say whether all work is done: nothing waits, and each account has gone every way once.
const STANDING: &str = "
    SELECT concat_ws(' ',
        (SELECT count(*) FROM user_api.outbox) + (SELECT count(*) FROM email_worker.outbox),
        (SELECT count(*) FROM email_worker.deliveries WHERE status IN ('pending', 'sending')),
        (SELECT count(*) FROM user_api.users) - (SELECT count(*) FROM email_worker.deliveries),
        (SELECT count(*) FROM user_api.users) - (SELECT count(*) FROM notification_gateway.recipients),
        (SELECT count(*) FROM user_api.users) - (SELECT count(*) FROM notification_gateway.notifications))";

/// Nothing waits, and nothing is missing.
pub(super) const ALL_DONE: &str = "0 0 0 0 0";

/// Waits until all work is done, for as long as anything moves: how fast is no question here. How it stands then.
pub(super) async fn at_rest(stack: &Stack) -> String {
    let (mut standing, mut moved) = (String::new(), Instant::now());
    while standing != ALL_DONE && moved.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = stack.texts(STANDING).await.pop().unwrap_or_default();
        if now != standing {
            (standing, moved) = (now, Instant::now());
        }
    }
    standing
}

/// Waits until all work is done, prints what was sent, received, lost and doubled, and holds it to the promise:
/// every account that was confirmed is there, and every account that is there has one mail and one notification.
pub(super) async fn settled(stack: &Stack, fault: &str, calls: &[Call<SignUp>]) {
    let confirmed: BTreeSet<String> = calls
        .iter()
        .filter(|call| call.what.is_done())
        .map(|call| call.what.email.clone())
        .collect();
    let standing = at_rest(stack).await;
    let accounts = || stack.texts("SELECT email FROM user_api.users");
    let accounts = eventually(PATIENCE, || async {
        let found: BTreeSet<String> = accounts().await.into_iter().collect();
        (!found.is_empty()).then_some(found)
    })
    .await;
    let mails = stack.smtp.per_recipient();
    let lost: Vec<_> = confirmed
        .union(&accounts)
        .filter(|email| !mails.contains_key(*email) || !accounts.contains(*email))
        .collect();
    let doubled: Vec<_> = mails.iter().filter(|(_, count)| **count > 1).collect();
    println!(
        "{fault}: sent {} (asked {}), received {}, lost {}, doubled {}",
        confirmed.len(),
        calls.len(),
        mails.len(),
        lost.len(),
        doubled.len()
    );
    assert!(lost.is_empty(), "{fault}: lost {lost:?}");
    assert!(doubled.is_empty(), "{fault}: doubled {doubled:?}");
    assert_eq!(
        mails.keys().cloned().collect::<BTreeSet<_>>(),
        accounts,
        "{fault}: mails without an account"
    );
    // Waiting events, waiting mails, and accounts without a delivery, a recipient, a notification.
    assert_eq!(
        standing, ALL_DONE,
        "{fault}: something is left over or was written by half"
    );
}

/// As the mails of [`settled`], behind it: every account with a phone has its message, and no second one. The same one may
/// have been asked for again under its key: that is printed.
pub(super) async fn messages_reached(stack: &Stack, fault: &str) {
    let phones = stack
        .texts("SELECT 'To=%2B' || substr(phone, 2) FROM user_api.users WHERE phone IS NOT NULL")
        .await;
    let phones: BTreeSet<String> = phones.into_iter().collect();
    let (taken, all) = eventually(PATIENCE, || async {
        let (taken, all) = taken_by_number(stack).await;
        (taken.len() >= phones.len()).then_some((taken, all))
    })
    .await;
    let again = all - taken.values().map(BTreeSet::len).sum::<usize>();
    let lost: Vec<_> = phones.iter().filter(|phone| !taken.contains_key(*phone)).collect();
    let doubled = taken.values().filter(|keys| keys.len() > 1).count();
    println!(
        "{fault}, SMS: sent {}, received {}, lost {}, doubled {doubled}, {again} asked again under their key",
        phones.len(),
        taken.len(),
        lost.len()
    );
    assert_eq!((lost.len(), doubled), (0, 0), "{fault}");
}

/// Fails when a call got another answer than 201, or 503 from a service with too much to do; or when a
/// quarter did: then it was for the fault's sake.
pub(super) fn mostly_done(stack: &Stack, calls: &[Call<SignUp>]) {
    only(stack, calls, &[201, 503]);
    let refused = calls.iter().filter(|call| !call.what.is_done()).count();
    println!("{refused} of {} were turned away by a busy service", calls.len());
    assert!(refused * 4 < calls.len(), "{}", stack.users.output());
}

/// How many people have an account: those who were told so, and maybe somebody whose answer came too late.
pub(super) async fn accounts(stack: &Stack) -> usize {
    let count = "SELECT count(*)::text FROM user_api.users";
    eventually(PATIENCE, || async { stack.texts(count).await.pop()?.parse().ok() }).await
}

/// Fails when one of these calls was not answered by one of these statuses.
pub(super) fn only(stack: &Stack, calls: &[Call<SignUp>], statuses: &[u16]) {
    let others: Vec<_> = calls
        .iter()
        .map(|call| (&call.what.email, &call.what.met, call.took))
        .filter(|(_, met, _)| !matches!(met, Met::Answer(status) if statuses.contains(status)))
        .collect();
    let log = stack.users.output();
    let last: Vec<_> = log.lines().rev().take(20).collect();
    assert!(
        others.is_empty(),
        "{} other answers: {others:?}\n{}",
        others.len(),
        last.join("\n")
    );
}
