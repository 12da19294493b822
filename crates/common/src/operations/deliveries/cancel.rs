//! `POST /operations/deliveries/{id}/cancel`: takes back a delivery that waits. It stays cancelled; a copy may be ordered.

use actix_web::web::Data;

use super::order::{Deed, Effect, Order, OrderRefusal, carry_out, unless_untouched};
use super::state::State;
use crate::dispatch::orders;
use crate::http::{Answer, JsonBody, OperationError, PathId, Taken};
use crate::operations::actor::Actor;

/// Takes the delivery back.
pub(super) async fn cancel_delivery(
    state: Data<State>,
    actor: Actor,
    PathId(id): PathId,
    JsonBody(order): JsonBody<Order>,
) -> Result<Answer<Taken<Effect>>, OperationError<OrderRefusal>> {
    let wanted = order.read()?;
    let deed = Deed {
        name: "deliveries.cancel",
        wanted: &wanted,
        delivery: id,
        may: unless_untouched,
    };
    let mut channel = None;
    let done = carry_out(&state, &actor, deed, async |tx, delivery, now| {
        let is_done = orders::cancel(tx, delivery.id, now).await?;
        channel = Some(delivery.channel);
        Ok(is_done.then_some(None).ok_or(OrderRefusal::InHand))
    });
    let affected = done.await?.map_err(OperationError::Refused)?;
    if let Some(channel) = channel.filter(|_| !wanted.is_dry_run) {
        state.metrics.delivery(&channel, "cancelled");
    }
    Ok(Answer::taken(&affected))
}
