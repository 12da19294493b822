//! The dispatcher's promises, on PostgreSQL and on SQLite.

/// Runs each test on either database.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Fixture::postgres().await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Fixture::sqlite().await).await;
            })*
        }
    };
}

mod destinations;
mod enqueue;
mod fixture;
mod leases;
mod orders;
mod outage;
mod outcomes;
