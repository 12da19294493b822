//! The events of a journey: what waits in the outbox, and what was taken in.

use std::collections::HashSet;

use contracts::topology::QUEUES;
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Timestamp;
use crate::database::Many;
use crate::telemetry::TraceContext;

/// Most events that one statement reads.
const MOST: usize = 100;
/// How many of the newest waiting events are searched for those about somebody: no index has whom an event is about.
const LOOKED_AT: usize = 20_000;

/// Something that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = JourneyEvent)]
pub(super) struct EventView {
    id: Uuid,
    /// Such as `user.registered.v1`; null when it is not known any more.
    #[schema(required)]
    r#type: Option<String>,
    /// When it came to this state here.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `waiting` (for the broker), `taken` (in, by `consumer`), or how a thing of the service's is.
    state: String,
    /// The queue that it was taken from.
    #[schema(required)]
    consumer: Option<String>,
    #[schema(required)]
    trace_id: Option<String>,
}

impl EventView {
    pub(super) fn of_a_thing((id, kind): (Uuid, &str), state: &str, at: Timestamp) -> Self {
        Self {
            id,
            r#type: Some(kind.to_owned()),
            at,
            state: state.to_owned(),
            consumer: None,
            trace_id: None,
        }
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }
}

/// Events that wait for the broker: those with these ids, and those about these people or things; a hundred of each at most.
pub(super) async fn waiting(
    connection: &impl ConnectionTrait,
    ids: &[Uuid],
    subjects: &[Uuid],
) -> Result<Vec<EventView>, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        message_id: Uuid,
        kind: String,
        headers: serde_json::Value,
        created_at: Timestamp,
    }
    let backend = connection.get_database_backend();
    let (ids, subjects) = (Many::ids(ids.iter().copied()), Many::ids(subjects.iter().copied()));
    let (is_one, is_about) = (
        ids.hold(backend, "message_id", 1),
        subjects.hold(backend, "aggregate", 1),
    );
    let columns = "SELECT message_id, type AS kind, headers, created_at";
    // Two statements: with an `OR` the database would use no index.
    let by_id = format!("{columns} FROM outbox WHERE {is_one} ORDER BY id LIMIT {MOST}");
    let by_subject = format!(
        "{columns} FROM ( \
            SELECT id, aggregate, message_id, type, headers, created_at FROM outbox ORDER BY id DESC LIMIT {LOOKED_AT} \
         ) AS newest WHERE {is_about} \
         ORDER BY id LIMIT {MOST}"
    );
    let mut rows = Vec::new();
    for (sql, keys) in [(by_id, ids), (by_subject, subjects)] {
        let statement = Statement::from_sql_and_values(backend, sql, [keys.value()]);
        let found = Row::find_by_statement(statement).all(connection).await?;
        let known: HashSet<Uuid> = rows.iter().map(|row: &Row| row.message_id).collect();
        rows.extend(found.into_iter().filter(|row| !known.contains(&row.message_id)));
    }
    let view = |row: Row| EventView {
        id: row.message_id,
        r#type: Some(row.kind),
        at: row.created_at,
        state: "waiting".to_owned(),
        consumer: None,
        trace_id: trace_of(&row.headers),
    };
    Ok(rows.into_iter().map(view).collect())
}

fn trace_of(headers: &serde_json::Value) -> Option<String> {
    let trace = TraceContext::parse(headers["traceparent"].as_str(), None)?;
    Some(trace.trace_id().to_owned())
}

/// Events with these ids that were taken in, once for each consumer; a hundred at most, the oldest first.
pub(super) async fn taken(connection: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<EventView>, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        consumer: String,
        message_id: Uuid,
        kind: Option<String>,
        trace_id: Option<String>,
        received_at: Timestamp,
    }
    let backend = connection.get_database_backend();
    let ids = Many::ids(ids.iter().copied());
    // The consumers are named as well, since the table's primary key begins with them.
    let consumers = Many::words(QUEUES.iter().map(|queue| queue.name));
    let is_ours = consumers.hold(backend, "consumer", 1);
    let is_one = ids.hold(backend, "message_id", 2);
    let sql = format!(
        "SELECT consumer, message_id, type AS kind, trace_id, received_at FROM inbox WHERE {is_ours} AND {is_one} \
         ORDER BY received_at LIMIT {MOST}"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [consumers.value(), ids.value()]);
    let rows = Row::find_by_statement(statement).all(connection).await?;
    let view = |row: Row| EventView {
        id: row.message_id,
        r#type: row.kind,
        at: row.received_at,
        state: "taken".to_owned(),
        consumer: Some(row.consumer),
        trace_id: row.trace_id,
    };
    Ok(rows.into_iter().map(view).collect())
}
