//! Renews the leases of the deliveries in hand, until each is done with.
//!
//! One statement renews all of them: it is the dispatcher's sign of life. When the database does not take it, the sign goes
//! over the broker: other dispatchers then leave alone what this one has in hand. A holder is believed dead only when it
//! reaches neither, while another reaches the database.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::load::Shared;
use super::record::renew;
use super::sender::Sender;
use crate::Timestamp;
use crate::config::Service;
use crate::database::within;
use crate::messaging::{Broker, SignOfLife};
use crate::process::chain;

/// Longest wait for the database to take one sign of life.
const ANSWER: Duration = Duration::from_secs(2);
/// Pause after a sign that the database did not take: it may be back soon.
const AGAIN: Duration = Duration::from_secs(1);

/// The other dispatchers of the service, and the way to them.
#[derive(Clone)]
pub(super) struct Peers {
    pub(super) service: Service,
    pub(super) broker: Broker,
}

/// Gives signs of life until the service stops and nothing is in hand.
pub(super) async fn keep_leases<S: Sender>(shared: Arc<Shared<S>>, peers: Option<Peers>) {
    let mut pause = shared.options.renew;
    loop {
        tokio::select! {
            () = shared.drained() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = if sign(&shared, peers.as_ref()).await {
            shared.options.renew
        } else {
            AGAIN.min(shared.options.renew)
        };
    }
}

/// Gives one sign of life for all that is in hand; answers whether the database took it.
async fn sign<S: Sender>(shared: &Shared<S>, peers: Option<&Peers>) -> bool {
    let held = shared.in_hand();
    if held.is_empty() {
        return true;
    }
    let ids: Vec<_> = held.iter().map(|hold| hold.delivery).collect();
    let asked = Instant::now();
    let renewal = renew(
        shared.database.write(),
        shared.holder,
        &ids,
        shared.options.lease,
        Timestamp::now(),
    );
    match within(ANSWER, renewal).await {
        Ok(still) => {
            shared.signed(asked);
            let still: HashSet<_> = still.into_iter().collect();
            for hold in held.iter().filter(|hold| !still.contains(&hold.delivery)) {
                hold.lost.cancel();
            }
            true
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "leases can't be renewed in the database");
            let sign = SignOfLife {
                holder: shared.holder,
                deliveries: ids,
            };
            if let Some(peers) = peers
                && peers.broker.vouch(peers.service, &sign).await.is_ok()
            {
                shared.signed(asked);
            }
            false
        }
    }
}

/// Hears the signs of life of holders that do not reach the database, until the service stops.
pub(super) async fn hear_others<S: Sender>(shared: Arc<Shared<S>>, peers: Peers) {
    let hearing = peers.broker.hear(peers.service, |sign| {
        if sign.holder != shared.holder {
            shared.believe(sign.deliveries);
        }
    });
    tokio::select! {
        () = shared.stopping.cancelled() => {}
        () = hearing => {}
    }
}
