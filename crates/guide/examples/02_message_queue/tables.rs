//! The example's tables: a database in a file of its own, and how many rows it has.

use std::time::Duration;

use anyhow::Context;
use common::config::{Service, Settings};
use common::database::Database;
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, Statement};
use test_support::TestDatabase;
use tokio::time::{sleep, timeout};

/// How long a step may take: enough for a RabbitMQ that starts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) struct Tables {
    pub(crate) database: Database,
    /// Goes with this value.
    #[expect(dead_code, reason = "it is held, not read")]
    file: TestDatabase,
}

impl Tables {
    /// A service's own tables, outbox and inbox among them, and two of the example's. `settings` name the file then.
    pub(crate) async fn open(settings: &mut Settings) -> anyhow::Result<Self> {
        let file = TestDatabase::sqlite();
        settings.database.url = file.url().to_owned().into();
        let database = Database::connect(settings, Service::EmailWorker).await?;
        let whole = database.unguarded();
        migrations::of(Owner::EmailWorker).up(whole, None).await?;
        for table in ["people", "mails"] {
            let make = format!("CREATE TABLE {table} (person TEXT)");
            whole.execute_unprepared(&make).await?;
        }
        Ok(Self { database, file })
    }

    /// The number of rows of a table.
    pub(crate) async fn count(&self, table: &str) -> anyhow::Result<i64> {
        self.number(&format!("SELECT count(*) FROM {table}")).await
    }

    /// Fails unless each person has one mail.
    pub(crate) async fn are_right(&self) -> anyhow::Result<()> {
        let (people, mails) = (self.count("people").await?, self.count("mails").await?);
        let reached = self.number("SELECT count(DISTINCT person) FROM mails").await?;
        anyhow::ensure!(
            (people, mails) == (reached, reached),
            "{people} people, {mails} mails to {reached}"
        );
        Ok(())
    }

    async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        let read = self.database.read();
        let statement = Statement::from_string(read.get_database_backend(), sql);
        let row = read.query_one_raw(statement).await?.context("a count has a row")?;
        Ok(row.try_get_by_index(0)?)
    }

    /// Waits until there are so many mails.
    pub(crate) async fn have_mails(&self, wanted: i64) -> anyhow::Result<()> {
        let reached = async {
            while self.count("mails").await? < wanted {
                sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, reached).await.context("mails are missing")?
    }

    /// Waits until everybody has a mail, and nothing waits any more.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.have_mails(self.count("people").await?).await?;
        let settled = async {
            while self.count("outbox").await? > 0 {
                sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, settled).await.context("events wait on")?
    }
}
