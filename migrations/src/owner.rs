//! The services that have tables, and the one way to their migrations for services, the command line and tests.

use sea_orm_migration::{MigrationTrait, MigratorTraitSelf};

use crate::{email_worker, notification_gateway, user_api};

/// A service that has tables of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Accounts and sessions.
    UserApi,
    /// Mails to send.
    EmailWorker,
    /// Notifications, their recipients and deliveries.
    NotificationGateway,
}

/// The migrations of one service, oldest first; [`MigratorTraitSelf`] applies them and takes them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrations(Owner);

/// The migrations of `owner`.
pub const fn of(owner: Owner) -> Migrations {
    Migrations(owner)
}

impl Migrations {
    /// Names of all of them: what a service compares its database with.
    pub fn names(self) -> Vec<String> {
        self.migrations().iter().map(|one| one.name().to_owned()).collect()
    }
}

impl MigratorTraitSelf for Migrations {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        match self.0 {
            Owner::UserApi => user_api::migrations(),
            Owner::EmailWorker => email_worker::migrations(),
            Owner::NotificationGateway => notification_gateway::migrations(),
        }
    }
}
