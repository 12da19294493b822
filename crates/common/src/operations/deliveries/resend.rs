//! `POST /operations/deliveries/{id}/resend`: sends once more what has ended, as a new delivery with an id of its own. The
//! first stays as it is.

use actix_web::web::Data;

use super::order::{Deed, Effect, Order, OrderRefusal, carry_out};
use super::state::State;
use crate::Timestamp;
use crate::dispatch::{Delivery, Status, orders};
use crate::http::{Answer, JsonBody, OperationError, PathId, Taken};
use crate::operations::actor::Actor;

/// Orders the copy.
pub(super) async fn resend_delivery(
    state: Data<State>,
    actor: Actor,
    PathId(id): PathId,
    JsonBody(order): JsonBody<Order>,
) -> Result<Answer<Taken<Effect>>, OperationError<OrderRefusal>> {
    let wanted = order.read()?;
    let deed = Deed {
        name: "deliveries.resend",
        wanted: &wanted,
        delivery: id,
        may: unless_ended,
    };
    let channels = state.channels;
    let done = carry_out(&state, &actor, deed, async |tx, delivery, now| {
        if !channels.contains(&delivery.channel.as_str()) {
            return Ok(Err(OrderRefusal::NotSentHere));
        }
        if orders::is_being_resent(tx, &delivery).await? {
            return Ok(Err(OrderRefusal::Copied));
        }
        orders::resend(tx, delivery, now).await.map(|copy| Ok(Some(copy)))
    });
    let affected = done.await?.map_err(OperationError::Refused)?;
    Ok(Answer::taken(&affected))
}

/// Ok for a delivery that has ended and whose time is not over, else why no copy can be made of it.
fn unless_ended(delivery: &Delivery) -> Result<(), OrderRefusal> {
    match delivery.status {
        Status::Pending => Err(OrderRefusal::Waits),
        Status::Sending => Err(OrderRefusal::InHand),
        _ if delivery.expires_at.is_some_and(|end| end <= Timestamp::now()) => Err(OrderRefusal::TimeIsOver),
        _ => Ok(()),
    }
}
