//! The order in which the migrations of user-api are applied.

use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::{m20261123_000001_journey, m20261129_000001_sweep};

/// The migrations of user-api, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_journey::Migration),
            Box::new(m20261129_000001_sweep::Migration),
        ]
    }
}

/// Names of all of them: what a service compares its database with.
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|one| one.name().to_owned()).collect()
}
