//! mq-3: the broker is away, and sign-ups are answered all the same. Looks at a user-api that runs.

use std::time::Duration;

use tokio::time::sleep;

use crate::exercises::exercise::{Attempt, Verdict};
use crate::exercises::running::Measured;

/// Sign-ups that are asked for.
const SIGN_UPS: f64 = 5.0;
/// Looks at the metrics, over eight seconds: the relay counts its backlog every five.
const LOOKS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(500);

pub(crate) async fn check(attempt: Attempt) -> Verdict {
    let mut waiting = 0.0;
    for look in 0..LOOKS {
        if look > 0 {
            sleep(BETWEEN).await;
        }
        let measured = Measured::at(&attempt.at).await?;
        waiting = measured.sum("waypost_outbox_pending", &[]);
        let published = measured.sum("waypost_messages_total", &[("outcome", "published")]);
        if published > 0.0 {
            return Err(format!(
                "{published} events were published, so the broker is not away: start Waypost with a WAYPOST__BROKER__URL at \
                 which nobody listens."
            ));
        }
        if waiting >= SIGN_UPS {
            return Ok(format!(
                "{waiting} events wait in the outbox, and whoever signed up was answered. Start Waypost with its broker, and they go."
            ));
        }
    }
    Err(format!(
        "{waiting} events wait in the outbox; sign {SIGN_UPS} people up while the broker is away."
    ))
}
