use std::sync::LazyLock;

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber};

/// Gives the spans of this thread to `subscriber` for as long as the guard lives.
///
/// For each span in the code, tracing remembers whether somebody wants it. As long as there is one
/// subscriber only, it asks that of the thread that comes by first, which may be another test's that
/// has none: then nobody ever gets the span. So there is always a second one.
pub(crate) fn subscribe(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&SECOND);
    tracing::subscriber::set_default(subscriber)
}
