//! Which due rows a dispatcher takes, and how rows that another one left behind become due again.

use std::time::Duration;

use sea_orm::sea_query::Iden;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, Iterable, Statement, Value};
use uuid::Uuid;

use super::holds::{not_held, open, whole};
use super::outcome::LEFT_BEHIND;
use super::{Delivery, delivery};
use crate::Timestamp;
use crate::database::{Database, Many, skip_locked};

/// How many candidates are looked at for each row that may be claimed, so that busy destinations can be passed over.
const CANDIDATES: usize = 8;

/// What may be claimed.
pub(super) struct Wanted {
    pub(super) limit: usize,
    pub(super) per_destination: usize,
    pub(super) per_recipient: usize,
    pub(super) lease: Duration,
    /// Who claims.
    pub(super) holder: Uuid,
    /// Deliveries that this dispatcher or another works on. Their rows may be due: a third dispatcher may have believed that
    /// they were left behind, and given them back.
    pub(super) spoken_for: Vec<Uuid>,
    /// Destinations that have sends under way, and how many.
    pub(super) busy: Vec<(String, usize)>,
    /// Destinations that are full.
    pub(super) full: Vec<String>,
    /// Destinations that rest: only deliveries that an operator lets through are claimed for them.
    pub(super) resting: Vec<String>,
    /// Recipients who have all the sends under way that they may have.
    pub(super) served: Vec<String>,
}

/// Takes the lease of due rows. No destination and no recipient gets more than its cap, and each destination gets a first
/// row before any gets a second.
///
/// A recipient with a thousand messages due holds up neither other recipients nor other destinations: each claim takes at
/// most their cap, and passes them over while they have that many under way.
///
/// One statement, committed at once. On PostgreSQL the candidates are locked and locked ones
/// skipped, so dispatchers share the work; `SQLite` has one writer at a time anyway.
///
/// While an operator holds anything, there is one statement for each [`whole`] that is not held: so the rows of one that is,
/// which may be very many, are not read. A recipient's cap then counts for each statement by itself.
pub(super) async fn claim(database: &Database, wanted: &Wanted, now: Timestamp) -> Result<Vec<Delivery>, DbErr> {
    let Some(mut open) = open(database, now).await? else {
        let all = Share {
            limit: wanted.limit,
            of: None,
        };
        return claim_share(database, wanted, all, now).await;
    };
    // In random order: with fewer places than destinations, each comes first now and then.
    fastrand::shuffle(&mut open);
    let mut claimed = Vec::new();
    for (at, of) in open.iter().enumerate() {
        let left = wanted.limit.saturating_sub(claimed.len());
        if left == 0 {
            break;
        }
        let share = Share {
            limit: left.div_ceil(open.len() - at),
            of: Some(of),
        };
        claimed.extend(claim_share(database, wanted, share, now).await?);
    }
    Ok(claimed)
}

/// What one statement claims of what is wanted.
#[derive(Clone, Copy)]
struct Share<'a> {
    limit: usize,
    /// Only rows whose destination has this [`whole`].
    of: Option<&'a str>,
}

async fn claim_share(
    database: &Database,
    wanted: &Wanted,
    share: Share<'_>,
    now: Timestamp,
) -> Result<Vec<Delivery>, DbErr> {
    let backend = database.write().get_database_backend();
    delivery::Entity::find()
        .from_raw_sql(claiming(backend, wanted, share, now))
        .all(database.write())
        .await
}

fn claiming(backend: DbBackend, wanted: &Wanted, share: Share<'_>, now: Timestamp) -> Statement {
    let full = Many::words(wanted.full.iter().map(String::as_str));
    let resting = Many::words(wanted.resting.iter().map(String::as_str));
    let spoken_for = Many::ids(wanted.spoken_for.iter().copied());
    let served = Many::texts(wanted.served.iter().map(String::as_str));
    let mut values: Vec<Value> = vec![
        now.as_micros().into(),
        full.value(),
        busy(wanted).into(),
        spoken_for.value(),
        wanted.holder.into(),
        resting.value(),
        served.value(),
    ];
    let is_open = format!(
        "{} AND ({} OR retry_now) AND {}",
        full.lack(backend, "destination", 2),
        resting.lack(backend, "destination", 6),
        not_held(backend)
    );
    let is_next = served.lack(backend, "recipient", 7);
    let is_of = share.of.map(|of| {
        values.push(of.into());
        format!("{} = $8 AND", whole(backend))
    });
    let is_of = is_of.unwrap_or_default();
    let taken = match backend {
        DbBackend::Postgres => "CAST((SELECT CAST($3 AS jsonb)) ->> destination AS bigint)",
        _ => "$3 ->> destination",
    };
    let is_free = spoken_for.lack(backend, "id", 4);
    let lock = skip_locked(backend);
    let (limit, cap, turns) = (share.limit, wanted.per_destination, wanted.per_recipient);
    let candidates = limit.saturating_mul(CANDIDATES);
    let until = lease_end(backend, wanted.lease, now);
    let columns = columns();
    let sql = format!(
        "WITH due AS MATERIALIZED ( \
            SELECT id, destination, recipient, priority, next_attempt_at FROM deliveries \
            WHERE {is_of} status = 'pending' AND next_attempt_at <= $1 AND {is_open} AND {is_next} AND {is_free} \
            ORDER BY priority DESC, next_attempt_at LIMIT {candidates} {lock} \
         ), turned AS ( \
            SELECT id, destination, priority, next_attempt_at, row_number() OVER ( \
                PARTITION BY recipient ORDER BY priority DESC, next_attempt_at, id) AS turn FROM due \
         ), placed AS ( \
            SELECT id, destination, row_number() OVER ( \
                PARTITION BY destination ORDER BY priority DESC, turn, next_attempt_at, id) AS place \
            FROM turned WHERE turn <= {turns} \
         ), picked AS ( \
            SELECT id FROM placed WHERE place <= {cap} - COALESCE({taken}, 0) ORDER BY place, id LIMIT {limit} \
         ) \
         UPDATE deliveries SET status = 'sending', lease_until = {until}, lease_number = lease_number + 1, \
            lease_holder = $5, attempts = attempts + 1, updated_at = $1 \
         WHERE id IN (SELECT id FROM picked) AND status = 'pending' AND {is_free} RETURNING {columns}"
    );
    Statement::from_sql_and_values(backend, sql, values)
}

/// The columns by name: a newer version may have added one while this one runs.
fn columns() -> String {
    let names: Vec<_> = delivery::Column::iter().map(|column| column.to_string()).collect();
    names.join(", ")
}

/// How many sends each destination has under way, as one JSON object, so that the statement's text stays the same.
fn busy(wanted: &Wanted) -> String {
    let busy: serde_json::Map<_, _> = wanted
        .busy
        .iter()
        .map(|(name, sends)| (name.clone(), (*sends).into()))
        .collect();
    serde_json::Value::Object(busy).to_string()
}

/// The time by which leases are measured, in SQL.
///
/// Replicas share PostgreSQL's: clocks that differ by more than a lease would have one replica take
/// the other's live leases. It is the statement's beginning, so that no lease ends before its holder
/// believes, and an index can be used. A SQLite file serves one machine, whose clock is `now`.
fn lease_clock(backend: DbBackend, now: Timestamp) -> String {
    match backend {
        DbBackend::Postgres => "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)".to_owned(),
        _ => now.as_micros().to_string(),
    }
}

/// When a lease ends that is asked for now, in SQL.
pub(super) fn lease_end(backend: DbBackend, lease: Duration, now: Timestamp) -> String {
    format!("{} + {}", lease_clock(backend, now), lease.as_micros())
}

/// A delivery that another dispatcher left behind.
pub(super) struct LeftBehind {
    pub(super) id: Uuid,
    pub(super) channel: String,
}

/// Makes due again what a dispatcher left behind: rows in `sending` whose lease has run out. Each may have been sent.
///
/// It leaves out what is `spoken_for`: after a while without the database those leases have run out too, but their outcome
/// is about to be recorded. A row keeps its holder until somebody takes it. A row that an operator let through has had its
/// try: it is let through no more.
pub(super) async fn reap(database: &Database, spoken_for: &[Uuid], now: Timestamp) -> Result<Vec<LeftBehind>, DbErr> {
    let backend = database.write().get_database_backend();
    let spoken_for = Many::ids(spoken_for.iter().copied());
    let (clock, is_free) = (lease_clock(backend, now), spoken_for.lack(backend, "id", 2));
    let sql = format!(
        "UPDATE deliveries SET status = 'pending', lease_until = NULL, retry_now = false, updated_at = $1, last_error = $3 \
         WHERE status = 'sending' AND lease_until <= {clock} AND {is_free} RETURNING id, channel"
    );
    let values = [now.as_micros().into(), spoken_for.value(), LEFT_BEHIND.into()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let rows = database.write().query_all_raw(statement).await?;
    rows.iter()
        .map(|row| {
            Ok(LeftBehind {
                id: row.try_get("", "id")?,
                channel: row.try_get("", "channel")?,
            })
        })
        .collect()
}

/// Makes due again what `holder` claimed at one of these times without learning of it: the answers to its claims were lost.
///
/// It costs no attempt. A claim is known by its time, so neither this statement nor a claim does harm when it reaches the
/// database late.
pub(super) async fn give_back_untold(
    database: &Database,
    holder: Uuid,
    claims: &[Timestamp],
    now: Timestamp,
) -> Result<u64, DbErr> {
    let backend = database.write().get_database_backend();
    let claims = Many::numbers(claims.iter().map(|at| at.as_micros()));
    let is_one = claims.hold(backend, "updated_at", 3);
    let sql = format!(
        "UPDATE deliveries SET status = 'pending', lease_until = NULL, lease_holder = NULL, \
            attempts = attempts - 1, updated_at = $1 \
         WHERE status = 'sending' AND lease_holder = $2 AND {is_one}"
    );
    let values = [now.as_micros().into(), holder.into(), claims.value()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    Ok(database.write().execute_raw(statement).await?.rows_affected())
}

/// For each channel that has due rows, since when the oldest has been due.
pub(super) async fn oldest_due(database: &Database, now: Timestamp) -> Result<Vec<(String, Timestamp)>, DbErr> {
    #[derive(FromQueryResult)]
    struct Oldest {
        channel: String,
        oldest: Timestamp,
    }
    let sql = "SELECT channel, MIN(next_attempt_at) AS oldest FROM deliveries \
               WHERE status = 'pending' AND next_attempt_at <= $1 GROUP BY channel";
    let connection = database.read();
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [now.as_micros().into()]);
    let rows = Oldest::find_by_statement(statement).all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.channel, row.oldest)).collect())
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
