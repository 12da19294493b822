//! resilience-5: nobody knows whether a call arrived, so its second try must have no second effect.

use tokio::time::timeout;

use super::provider::{CallError, Provider, Trouble};
use super::shared_limit::SOON;
use crate::exercises::exercise::Verdict;

/// Tells people that their orders are on the way.
pub(crate) trait Tells: Send + Sync + 'static {
    /// Makes what tells, over the provider. A process that starts again makes a new one.
    fn new(provider: Provider) -> Self;
    /// Tells of one order.
    fn tell(&self, order: u32) -> impl Future<Output = Result<(), CallError>> + Send;
}

pub(crate) async fn check<T: Tells>() -> Verdict {
    let provider = Provider::with(Trouble::LosesOneAnswer);
    if !is_told::<T>(&provider, 1).await {
        return Err(
            "The answer to the first try was lost, and the order was given up: nobody knows whether the person was told. \
             Try again."
                .into(),
        );
    }
    let sent = provider.sent();
    if sent > 1 {
        return Err(format!(
            "The person got {sent} messages for one order: the first try was done and its answer lost, and the second one came \
             as something new. Give both one key, by which the provider knows that it is the same."
        ));
    }
    // The process ended before it could write down that the order was told of.
    is_told::<T>(&provider, 1).await;
    if provider.sent() > 1 {
        return Err(
            "The process began anew and told of the same order once more, under another key: let the key come from the \
             order."
                .into(),
        );
    }
    if !is_told::<T>(&provider, 2).await || provider.sent() != 2 {
        return Err("A second order was not told of: two orders must not share a key.".into());
    }
    Ok(format!(
        "{} calls, one answer lost, one new start: 2 orders, 2 messages.",
        provider.calls()
    ))
}

async fn is_told<T: Tells>(provider: &Provider, order: u32) -> bool {
    let orders = T::new(provider.clone());
    matches!(timeout(SOON, orders.tell(order)).await, Ok(Ok(())))
}
