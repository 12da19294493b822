//! Runs a service from its settings to its end.

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::Command;

use super::{Ending, Tasks, log_panics};
use crate::config::{OwnSettings, Service, Settings, SettingsOf};
use crate::error_chain::chain;
use crate::telemetry::{Telemetry, scope};

type BoxedError = Box<dyn Error + Send + Sync>;

/// Runs one service as the binary of its name: the whole of a `main`. The type of the settings says which service it is.
///
/// It answers `--help` and `--version`. It has no other argument: with one it ends by the usage and exit code 2.
pub fn run_binary<Own, F, Fut, R, E>(start: F) -> ExitCode
where
    Own: OwnSettings,
    F: FnOnce(SettingsOf<Own>, Tasks) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    E: Into<BoxedError>,
{
    let command_line = Command::new(Own::SERVICE.name())
        .version(env!("CARGO_PKG_VERSION"))
        .about("One service of Waypost, alone in a process")
        .after_help(
            "Settings come from ./waypost.toml and WAYPOST__ variables; docs/configuration.md says which there are.",
        );
    match command_line.try_get_matches() {
        Ok(_) => run_service(start),
        Err(answer) => {
            // Who can't be told any more has gone.
            let _ = answer.print();
            ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2))
        }
    }
}

/// Runs one service from its settings to its end, whatever the command line says.
///
/// `start` brings the service up and returns what must live as long as it does. SIGTERM, SIGINT, SIGHUP
/// or a panicked task end it: tasks finish what they have in hand, telemetry is flushed. What hangs then
/// is left behind when the time is over. Exit code 0 after a signal, 1 after a failure or an end by force,
/// 2 when the settings are refused.
pub fn run_service<Own, F, Fut, R, E>(start: F) -> ExitCode
where
    Own: OwnSettings,
    F: FnOnce(SettingsOf<Own>, Tasks) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    E: Into<BoxedError>,
{
    let service = Own::SERVICE;
    let settings = match SettingsOf::<Own>::load() {
        Ok(settings) => settings,
        Err(error) => return complain(service, &error, 2),
    };
    let ending = match Ending::within(settings.process.shutdown) {
        Ok(ending) => ending,
        Err(error) => return complain(service, &error, 1),
    };
    // Two threads at least, also on one core: the span exporter waits for the runtime.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(scope(service, run(settings, &ending, start)));
            runtime.shutdown_timeout(Duration::from_millis(200));
            match ended {
                Ok(()) => ExitCode::SUCCESS,
                Err(Failed { error, code }) => complain(service, error.as_ref(), code),
            }
        }
        Err(error) => complain(service, &error, 1),
    }
}

/// Why a service did not end well, and what its exit code says of it.
struct Failed {
    error: BoxedError,
    code: u8,
}

async fn run<Own, F, Fut, R, E>(settings: SettingsOf<Own>, ending: &Ending, start: F) -> Result<(), Failed>
where
    Own: OwnSettings,
    F: FnOnce(SettingsOf<Own>, Tasks) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    E: Into<BoxedError>,
{
    let service = Own::SERVICE;
    let telemetry = Telemetry::start(service, &settings).map_err(|error| Failed {
        error: error.into(),
        code: 2,
    })?;
    log_panics();
    tell_of_weak_parts(service, &settings);
    let (drain, shutdown) = (settings.process.drain, settings.process.shutdown);
    let tasks = Tasks::new(service);
    let outcome = tokio::select! {
        () = ending.asked() => Ok(()),
        outcome = live(start(settings, tasks.clone()), &tasks) => outcome,
    };
    tracing::info!("{service} stops: finishing what is in hand");
    let deadline = ending.begin();
    if let Err(unfinished) = tasks.shut_down(drain.min(deadline.left())).await {
        tracing::warn!(%unfinished, "stopped before all was finished; what was in hand is taken up at the next start");
    }
    telemetry
        .stop(shutdown.saturating_sub(drain).min(deadline.left()))
        .await;
    outcome.map_err(|error| Failed { error, code: 1 })
}

/// Warns in the log of what is weak in the settings of `service`: the parts of development that it starts with in
/// production, because somebody allowed them, and the secrets that it sends in clear text.
pub fn tell_of_weak_parts(service: Service, settings: &Settings) {
    for part in settings.development_parts() {
        tracing::warn!(%service, setting = %part.key, "production runs with a part of development: {}", part.cure);
    }
    for part in settings.secrets_in_clear() {
        tracing::warn!(%service, setting = %part.key, "production sends a secret over a network as it is: {}", part.cure);
    }
}

/// Brings the service up and keeps it until it fails.
async fn live<R, E: Into<BoxedError>>(
    start: impl Future<Output = Result<R, E>>,
    tasks: &Tasks,
) -> Result<(), BoxedError> {
    let _running = start.await.map_err(Into::into)?;
    tracing::info!("{} is up", tasks.service());
    tokio::select! {
        () = tasks.stopping().cancelled() => Err("a part of it ended by itself; the log says which".into()),
        failure = tasks.failed() => Err(failure.into()),
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a process, for whoever started it")]
fn complain(service: Service, error: &(dyn Error + 'static), code: u8) -> ExitCode {
    eprintln!("{service}: {}", chain(error));
    ExitCode::from(code)
}
