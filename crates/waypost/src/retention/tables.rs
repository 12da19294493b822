//! Whose tables are whose.

use common::config::Service;
use common::retention::Table;

/// The tables of `service`, and what becomes of their rows.
pub const fn tables_of(service: Service) -> &'static [Table] {
    match service {
        Service::UserApi => user_api::TABLES,
        Service::EmailWorker => email_worker::TABLES,
        Service::NotificationGateway => notification_gateway::TABLES,
        Service::ProviderSandbox | Service::Waypost => &[],
    }
}
