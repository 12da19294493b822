//! A database of one test's own, gone when the test ends.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use uuid::Uuid;

use crate::{Folder, addresses::postgres_url};

/// A fresh, empty database. Keep the value for as long as the test runs.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Postgres { name: String },
    Sqlite { _folder: Folder },
}

impl TestDatabase {
    /// One on the shared PostgreSQL.
    pub async fn postgres() -> Self {
        let name = format!("waypost_test_{}", Uuid::now_v7().simple());
        let server = postgres_url();
        execute(&server, &format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await
            .expect("a test database; `make services` brings PostgreSQL up");
        Self {
            url: with_database(&server, &name),
            kept: Kept::Postgres { name },
        }
    }

    /// A SQLite file in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = Folder::create();
        let path = folder.join("waypost.db");
        Self {
            url: format!("sqlite://{}?mode=rwc", path.display()),
            kept: Kept::Sqlite { _folder: folder },
        }
    }

    /// Its address, as the setting `database.url` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A plain connection to it, for looking inside.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url).await.expect("the test database answers")
    }

    /// Runs one statement in it.
    pub async fn execute(&self, statement: &str) {
        execute(&self.url, statement).await.expect("the statement runs");
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kept::Postgres { name } = &self.kept else {
            return;
        };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // A drop may run on a runtime's thread, which can't block on it: another thread does it, with its own runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(execute(&postgres_url(), &statement))
                .map_err(std::io::Error::other)
        })
        .join();
        if !matches!(dropped, Ok(Ok(()))) {
            eprintln!("could not drop the test database {name}");
        }
    }
}

async fn connect(url: &str) -> Result<DatabaseConnection, sea_orm::DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await
}

/// Runs one statement over a connection of its own.
pub(crate) async fn execute(url: &str, statement: &str) -> Result<(), sea_orm::DbErr> {
    let connection = connect(url).await?;
    let result = connection.execute_unprepared(statement).await;
    connection.close().await?;
    result.map(|_| ())
}

/// The same server, another database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(a, q)| (a, Some(q)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..]
        .find('/')
        .map_or(address.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_in_an_address_is_replaced() {
        for (server, expected) in [
            ("postgres://p@h:5/postgres", "postgres://p@h:5/x"),
            ("postgres://p@h", "postgres://p@h/x"),
            ("postgres://p@h/a?b=c", "postgres://p@h/x?b=c"),
        ] {
            assert_eq!(with_database(server, "x"), expected);
        }
    }
}
