//! The table `holds`: destinations that an operator leaves alone for a time. One shape in every service that sends.
//!
//! A claim reads the table itself, so a hold is every dispatcher's from its commit on, and ends by itself. [`Holds`] is what
//! a process knows of it, a second late at most: for readiness, metrics, and senders who choose between providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DbBackend, IntoActiveModel, QueryOrder};

use crate::Timestamp;
use crate::database::{Database, within};
use crate::process::{Tasks, chain};

/// How often a process looks at the table.
const LOOK: Duration = Duration::from_secs(1);
/// One look; the server ends it sooner.
const STATEMENT: Duration = Duration::from_millis(2500);

/// A destination that is held.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "holds")]
pub struct Model {
    /// What is held: a destination, all that is part of it, or one of those who deliver.
    #[sea_orm(primary_key, auto_increment = false)]
    pub destination: String,
    /// Until when.
    pub until: Timestamp,
    /// Why, for those who run the service.
    pub reason: String,
    /// Who said so, by their own word.
    pub who: String,
    /// Since when.
    pub since: Timestamp,
}

/// None: a hold stands by itself.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl std::fmt::Debug for Model {
    /// Without who and why, which may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("destination", &self.destination)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// Holds a destination, in place of a hold that it had.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn put(tx: &impl ConnectionTrait, hold: Model) -> Result<(), DbErr> {
    let replace = OnConflict::column(Column::Destination)
        .update_columns([Column::Until, Column::Reason, Column::Who, Column::Since])
        .to_owned();
    let insert = Entity::insert(hold.into_active_model()).on_conflict(replace);
    insert.exec_without_returning(tx).await?;
    Ok(())
}

/// Ends the hold of a destination; false when it was not held.
///
/// # Errors
/// [`DbErr`] when the statement fails.
pub async fn end(tx: &impl ConnectionTrait, destination: &str, now: Timestamp) -> Result<bool, DbErr> {
    let found = Entity::find_by_id(destination).one(tx).await?;
    Entity::delete_by_id(destination).exec(tx).await?;
    Ok(found.is_some_and(|hold| hold.until > now))
}

/// What is held, by name.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn list(connection: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let held = Entity::find().filter(Column::Until.gt(now));
    held.order_by_asc(Column::Destination).all(connection).await
}

/// SQL: nobody holds the destination of a row of `deliveries`, nor that which it is part of. `$1` is the time.
///
/// `mail-7` and `webhook.<id>` are parts of `mail` and `webhook`.
pub(super) fn not_held(backend: DbBackend) -> String {
    if backend == DbBackend::Postgres {
        // The planner sees neither the rows nor how many there are: it goes on reading in the order of the index.
        return "NOT COALESCE((SELECT array_agg(holds.destination) FROM holds WHERE holds.until > $1) \
             && ARRAY[deliveries.destination, split_part(translate(deliveries.destination, '.', '-'), '-', 1)], false)"
            .to_owned();
    }
    let held = "(SELECT holds.destination FROM holds WHERE holds.until > $1)";
    let marks = "instr(replace(deliveries.destination, '.', '-') || '-', '-')";
    format!("deliveries.destination NOT IN {held} AND substr(deliveries.destination, 1, {marks} - 1) NOT IN {held}")
}

/// What a process knows of the holds of its service. Cheap to clone.
#[derive(Clone)]
pub struct Holds(Arc<Known>);

struct Known {
    database: Database,
    /// What can be held.
    destinations: Vec<String>,
    /// Nothing is known before the first look.
    held: RwLock<Option<BTreeMap<String, Timestamp>>>,
}

impl Holds {
    /// Those of a service whose destinations these are; begins to look at them.
    pub fn spawn(database: Database, destinations: Vec<String>, tasks: &Tasks) -> Self {
        let holds = Self(Arc::new(Known {
            database,
            destinations,
            held: RwLock::default(),
        }));
        let (looking, stopping) = (holds.clone(), tasks.stopping().clone());
        tasks.spawn("holds", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = looking.look_on() => {}
            }
        });
        holds
    }

    /// What can be held.
    pub fn destinations(&self) -> &[String] {
        &self.0.destinations
    }

    /// What is held at this moment, by name.
    pub fn held(&self, now: Timestamp) -> Vec<String> {
        let held = self.0.held.read();
        let still = held.iter().flatten().filter(|(_, until)| **until > now);
        still.map(|(name, _)| name.clone()).collect()
    }

    /// For how long a destination is held yet; `None`: it is not. Before the first look all are, for a moment: without the
    /// database, which a look needs, nothing is claimed either.
    pub fn left(&self, destination: &str, now: Timestamp) -> Option<Duration> {
        let Some(until) = self.0.held.read().as_ref().map(|held| held.get(destination).copied()) else {
            return Some(LOOK);
        };
        let until = until?;
        (until > now).then(|| until.since(now))
    }

    /// Takes over what was committed here, before the next look.
    pub(crate) fn heed(&self, destination: &str, until: Option<Timestamp>) {
        let mut known = self.0.held.write();
        // Before the first look nothing has to be taken over: it finds it.
        let Some(held) = known.as_mut() else {
            return;
        };
        match until {
            Some(until) => held.insert(destination.to_owned(), until),
            None => held.remove(destination),
        };
    }

    async fn look_on(&self) {
        loop {
            let database = &self.0.database;
            match within(STATEMENT, list(database.read(), Timestamp::now())).await {
                Ok(rows) => {
                    let held = rows.into_iter().map(|row| (row.destination, row.until));
                    *self.0.held.write() = Some(held.collect());
                }
                // What is known ends by itself; nothing is sent meanwhile either.
                Err(error) => tracing::debug!(error = chain(&error), "holds can't be read"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl std::fmt::Debug for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Holds").field(&*self.0.held.read()).finish()
    }
}
