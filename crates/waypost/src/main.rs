//! The `waypost` command.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::{Shell, generate};
use waypost::commands::{self, Api, Breakers, Deliveries, Dlq, Hold, Holds, Journey, Prune, Release};

/// Accounts and notifications that survive production.
#[derive(Debug, Parser)]
#[command(name = "waypost", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the three services and the sandbox provider in one process
    Run,
    /// Sign a person up and show what happens, then stop what was started
    Demo,
    /// Make a while of mixed life: sign-ups, reads, mistakes, a failing provider, a dead letter
    DemoLoad {
        /// How long
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Show the mails of a mail folder, for services that run as processes of their own
    Page,
    /// Bring the tables of all three services up to date
    Migrate,
    /// Print the settings that each service would use, secrets hidden
    Config,
    /// Print the description of an API (`OpenAPI` 3.1)
    Openapi {
        /// Whose
        api: Api,
    },
    /// Print the description of the messages between services (`AsyncAPI` 3)
    Asyncapi,
    /// Check every dependency and say the cure for what does not answer
    Doctor,
    /// Show the circuit breakers of services that run, and have one decide or not
    Breakers {
        /// What to do
        #[command(subcommand)]
        command: Breakers,
    },
    /// Delete what was kept for long enough, as each service does by itself; needs the databases alone
    Prune(Prune),
    /// Look at what workers set aside, put it back into its queue, drop it; no service need run
    Dlq {
        /// What to do
        #[command(subcommand)]
        command: Dlq,
    },
    /// Show what happened to a sign-up or a mail: events, deliveries, each exchange, in all services that run
    Journey(Journey),
    /// List deliveries of services that run, and let them through, take them back or send them once more
    Deliveries {
        /// What to do
        #[command(subcommand)]
        command: Deliveries,
    },
    /// Leave a destination alone for a time, in every replica of the services that send there
    Hold(Hold),
    /// End a hold before its time
    Release(Release),
    /// Show the destinations that are held
    Holds(Holds),
    /// Print what makes a shell complete this command's arguments: `source <(waypost completions bash)`
    Completions {
        /// Which
        shell: Shell,
    },
    /// Ask an operations port whether its service can do its work; exit code 0 when it can
    Ready {
        /// `host:port` of the operations port
        address: String,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run => commands::run(),
        Command::Demo => commands::demo(),
        Command::DemoLoad { seconds } => commands::demo_load(seconds),
        Command::Page => commands::page(),
        Command::Migrate => commands::migrate(),
        Command::Config => commands::config(),
        Command::Openapi { api } => commands::openapi(api),
        Command::Asyncapi => commands::asyncapi(),
        Command::Doctor => commands::doctor(),
        Command::Breakers { command } => commands::breakers(command),
        Command::Prune(wanted) => commands::prune(wanted),
        Command::Dlq { command } => commands::dlq(command),
        Command::Journey(wanted) => commands::journey(wanted),
        Command::Deliveries { command } => commands::deliveries(command),
        Command::Hold(wanted) => commands::hold(wanted),
        Command::Release(wanted) => commands::release(wanted),
        Command::Holds(wanted) => commands::holds(wanted),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            generate(shell, &mut Arguments::command(), "waypost", &mut script);
            match std::io::stdout().write_all(&script) {
                // Whoever reads may have seen enough, as `head` has.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            }
        }
        Command::Ready { address } => commands::ready(&address),
    }
}
