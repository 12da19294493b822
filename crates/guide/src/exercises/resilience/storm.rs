//! resilience-4: retries do not flood a provider that is away, and still help with a failure that passes.

use futures_util::future::join_all;
use tokio::time::timeout;

use super::provider::{CallError, Provider, Trouble};
use super::shared_limit::SOON;
use crate::exercises::exercise::Verdict;

/// Messages that come while the provider is away.
const MESSAGES: usize = 200;
/// Most calls for these messages: a fifth more than one call each.
const BEARABLE: usize = MESSAGES + MESSAGES / 5;

/// Sends all messages of a process through a provider; a learner writes it.
pub(crate) trait Sender: Send + Sync + 'static {
    /// Makes the sender of one process.
    fn new(provider: Provider) -> Self;
    /// Sends one message; its key is the same at each try.
    fn send(&self, key: &str) -> impl Future<Output = Result<(), CallError>> + Send;
}

pub(crate) async fn check<S: Sender>() -> Verdict {
    let provider = Provider::with(Trouble::FailsOnce);
    let sender = S::new(provider.clone());
    match timeout(SOON, sender.send("passing")).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            return Err(
                "The provider failed once and was well again, and the message was given up: a failure that passes is \
                 worth a retry."
                    .into(),
            );
        }
        Err(_) => return Err("A message was never sent and never given up.".into()),
    }
    let provider = Provider::with(Trouble::Away);
    let sender = S::new(provider.clone());
    let keys: Vec<String> = (0..MESSAGES).map(|n| format!("message-{n}")).collect();
    let sending = join_all(keys.iter().map(|key| sender.send(key)));
    let Ok(outcomes) = timeout(SOON, sending).await else {
        return Err("The provider is away, and some messages are never given up: retries must have an end.".into());
    };
    if outcomes.iter().any(Result::is_ok) {
        return Err("The provider is away, and a message is said to be sent.".into());
    }
    let calls = provider.calls();
    if calls > BEARABLE {
        return Err(format!(
            "The provider was called {calls} times for {MESSAGES} messages: who is down already gets {} times the load, and \
             stays down. Let all calls share a budget of retries, a tenth of the calls.",
            calls / MESSAGES
        ));
    }
    Ok(format!(
        "{MESSAGES} messages cost a provider that is away {calls} calls, and a failure that passes is tried again."
    ))
}
