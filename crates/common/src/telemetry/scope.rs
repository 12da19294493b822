//! Says on whose behalf code runs, which tells services apart that share a process.

use std::future::Future;

use tokio::task_local;

use crate::config::Service;

/// Attribute that tells services apart within one process.
pub(super) const SERVICE_ATTRIBUTE: &str = "waypost.service";

task_local! {
    static SERVICE: Service;
}

/// Runs `work` as `service`: its spans and log lines carry that service's name.
///
/// # Cancel safety
/// Dropping the future drops `work`.
pub fn scope<F: Future>(service: Service, work: F) -> impl Future<Output = F::Output> {
    SERVICE.scope(service, work)
}

/// The service on whose behalf the current task runs; `None` outside of any [`scope`].
pub fn current_service() -> Option<Service> {
    SERVICE.try_with(|service| *service).ok()
}
