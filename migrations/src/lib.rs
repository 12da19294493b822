//! Database migrations, a module a service.
//!
//! Each service has its own [`MigratorTrait`] and keeps its own `seaql_migrations` table, in its own
//! schema or file. Every migration runs on PostgreSQL and on SQLite, and its `down` takes away what its
//! `up` made. A change that running services would notice comes in two: expand first, contract later.
//! A service never migrates by itself; `waypost migrate` does, and `waypost run` at its start.

pub mod email_worker;
pub mod notification_gateway;
mod shared;
pub mod user_api;

pub use sea_orm_migration::MigratorTrait;
