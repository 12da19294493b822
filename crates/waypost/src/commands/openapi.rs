//! `waypost openapi`: the description of an API, for those who make clients of it.

use std::io::Write;
use std::process::ExitCode;

use clap::ValueEnum;

/// A service that has an API.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Api {
    /// Accounts and sessions.
    UserApi,
    /// A person's notifications.
    NotificationGateway,
}

/// `waypost openapi <service>`: prints the description, as the service answers it at `/openapi.json`.
pub fn openapi(api: Api) -> ExitCode {
    let document = match api {
        Api::UserApi => user_api::openapi(),
        Api::NotificationGateway => notification_gateway::openapi(),
    };
    // The reader may have closed the pipe, as `head` does: that is no failure.
    let _ = writeln!(std::io::stdout(), "{document}");
    ExitCode::SUCCESS
}
