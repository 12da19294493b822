//! Database migrations, a module for each service.
//!
//! [`of`] gives those of one service. Each service has a `seaql_migrations` table of its own, in its own schema or
//! file. Every migration runs on PostgreSQL and on SQLite, and its `down` takes away what its
//! `up` made. A change that running services would notice comes in two: expand first, contract later.
//! A service never migrates by itself; `waypost migrate` does, and `waypost run` at its start.

mod attempts;
mod audit;
mod by_whole;
mod dead_letters;
mod email_worker;
mod ended;
mod indexes;
mod notification_gateway;
mod operated;
mod outbox_kafka;
mod owner;
mod shared;
mod user_api;

pub use owner::{Migrations, Owner, of};
pub use sea_orm_migration::MigratorTraitSelf;
