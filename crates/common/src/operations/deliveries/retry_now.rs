//! `POST /operations/deliveries/{id}/retry-now`: lets a delivery through at once, as the probe of a relay that rests or of
//! an open breaker. It does not lift a hold or a breaker that is forced open.

use actix_web::web::Data;

use super::order::{Deed, Effect, Order, OrderRefusal, carry_out, unless_waiting};
use super::state::State;
use crate::dispatch::orders;
use crate::http::{Answer, JsonBody, OperationError, PathId, Taken};
use crate::operations::actor::Actor;

/// Lets the delivery through.
pub(super) async fn retry_delivery_now(
    state: Data<State>,
    actor: Actor,
    PathId(id): PathId,
    JsonBody(order): JsonBody<Order>,
) -> Result<Answer<Taken<Effect>>, OperationError<OrderRefusal>> {
    let deed = Deed {
        name: "deliveries.retry_now",
        wanted: &order.read()?,
        delivery: id,
        may: unless_waiting,
    };
    let done = carry_out(&state, &actor, deed, async |tx, delivery, now| {
        let is_done = orders::let_through(tx, delivery.id, now).await?;
        Ok(is_done.then_some(None).ok_or(OrderRefusal::InHand))
    });
    let affected = done.await?.map_err(OperationError::Refused)?;
    Ok(Answer::taken(&affected))
}
