//! The dispatcher's promises, on PostgreSQL and on SQLite.

/// Runs each test on either database.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Bench::postgres().await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Bench::sqlite().await).await;
            })*
        }
    };
}

mod bench;
mod destinations;
mod enqueue;
mod leases;
mod outage;
mod outcomes;
