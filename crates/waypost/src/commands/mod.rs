//! The subcommands, one a file.

mod config;
mod demo;
mod demo_load;
mod doctor;
mod migrate;
mod page;
mod ready;
mod run;

pub use config::config;
pub use demo::demo;
pub use demo_load::demo_load;
pub use doctor::doctor;
pub use migrate::migrate;
pub use page::page;
pub use ready::ready;
pub use run::run;

use std::error::Error;
use std::process::ExitCode;

use common::process::chain;

/// The last words of a command that failed.
#[expect(clippy::print_stderr, reason = "this is a command line")]
fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("waypost: {}", chain(error));
    ExitCode::FAILURE
}

/// A runtime for a command, with two threads also on one core.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
}
