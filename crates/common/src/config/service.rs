//! The programs of the system, and what each is called where.

use std::fmt;

/// A program of the system: names its settings, its telemetry and its database schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Accounts and sessions.
    UserApi,
    /// Events to email.
    EmailWorker,
    /// Events to notifications.
    NotificationGateway,
    /// The stand-in provider.
    ProviderSandbox,
    /// The command that runs the others in one process.
    Waypost,
}

impl Service {
    /// The three services that own a database.
    pub const WITH_DATABASE: [Self; 3] = [Self::UserApi, Self::EmailWorker, Self::NotificationGateway];

    /// Every program.
    pub const ALL: [Self; 5] = [
        Self::UserApi,
        Self::EmailWorker,
        Self::NotificationGateway,
        Self::ProviderSandbox,
        Self::Waypost,
    ];

    /// Name in traces, logs, queues and file names: `user-api`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserApi => "user-api",
            Self::EmailWorker => "email-worker",
            Self::NotificationGateway => "notification-gateway",
            Self::ProviderSandbox => "provider-sandbox",
            Self::Waypost => "waypost",
        }
    }

    /// Name as an identifier: its table in settings, its schema in PostgreSQL (`user_api`).
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::UserApi => "user_api",
            Self::EmailWorker => "email_worker",
            Self::NotificationGateway => "notification_gateway",
            Self::ProviderSandbox => "provider_sandbox",
            Self::Waypost => "waypost",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
