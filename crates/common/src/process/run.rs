//! Runs a service from its settings to its end.

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::Tasks;
use crate::config::{self, Service, Settings};
use crate::error_chain::chain;
use crate::telemetry::{Telemetry, scope};

type BoxedError = Box<dyn Error + Send + Sync>;

/// Runs one service from its settings to its end: the whole of a `main`.
///
/// `start` brings the service up and returns what must live as long as it does. SIGTERM, SIGINT
/// or a panicked task end it: tasks finish what they have in hand, telemetry is flushed. Exit code
/// 0 after a signal, 1 after a failure, 2 when the settings are refused.
pub fn run_service<F, Fut, R, E>(service: Service, start: F) -> ExitCode
where
    F: FnOnce(Settings, Tasks) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    E: Into<BoxedError>,
{
    let settings = match config::load(service) {
        Ok(settings) => settings,
        Err(error) => return complain(service, &error, 2),
    };
    // Two threads at least, also on one core: the span exporter waits for the runtime.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(scope(service, run(service, settings, start)));
            runtime.shutdown_timeout(Duration::from_millis(200));
            code
        }
        Err(error) => complain(service, &error, 1),
    }
}

async fn run<F, Fut, R, E>(service: Service, settings: Settings, start: F) -> ExitCode
where
    F: FnOnce(Settings, Tasks) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    E: Into<BoxedError>,
{
    let telemetry = match Telemetry::start(service, &settings) {
        Ok(telemetry) => telemetry,
        Err(error) => return complain(service, &error, 2),
    };
    let (drain, shutdown) = (settings.process.drain, settings.process.shutdown);
    let tasks = Tasks::new(service);
    let stopped = tasks.stopping().clone();
    let code = match start(settings, tasks.clone()).await {
        Ok(running) => {
            tracing::info!("{service} is up");
            let code = tokio::select! {
                () = stop_signal() => ExitCode::SUCCESS,
                () = stopped.cancelled() => ExitCode::FAILURE,
                failure = tasks.failed() => complain(service, &failure, 1),
            };
            tracing::info!("{service} stops: finishing what is in hand");
            drop(running);
            code
        }
        Err(error) => complain(service, error.into().as_ref(), 1),
    };
    if let Err(unfinished) = tasks.shut_down(drain).await {
        tracing::warn!(%unfinished, "stopped before all was finished; what was in hand is taken up at the next start");
    }
    telemetry
        .stop(
            shutdown
                .saturating_sub(drain)
                .saturating_sub(Duration::from_millis(500)),
        )
        .await;
    code
}

/// Resolves at SIGTERM or SIGINT.
pub async fn stop_signal() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals can't be heard; stop this process with SIGKILL");
            std::future::pending::<()>().await;
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a process, for whoever started it")]
fn complain(service: Service, error: &(dyn Error + 'static), code: u8) -> ExitCode {
    eprintln!("{service}: {}", chain(error));
    ExitCode::from(code)
}
