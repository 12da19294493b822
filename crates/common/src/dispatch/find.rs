//! Finds deliveries by what an operator knows of them.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::delivery::{Column, Entity};
use super::{Delivery, Reason, Status};
use crate::Timestamp;
use crate::database::first_id;

/// Most events of which copies are looked for, where a trace is asked for.
const COPIES_OF: usize = 20;
/// How many rows are looked at for one page at most, where no index leads to those that match.
const LOOKED_AT: u64 = 50_000;
/// Longest distance between the time in a delivery's id and its `created_at`.
const APART: Duration = Duration::from_mins(1);

/// Which deliveries are asked for: those that match every field that is set.
#[derive(Clone, Default)]
pub struct Filter {
    /// To whom: the whole text of the column, in upper or lower case.
    pub recipient: Option<String>,
    /// Name of their channel.
    pub channel: Option<String>,
    /// A destination, which includes all that is part of it, or the provider that has or may have them.
    pub destination: Option<String>,
    /// Where they stand.
    pub status: Option<Status>,
    /// Why.
    pub reason: Option<Reason>,
    /// They were asked for at least so long ago.
    pub older_than: Option<Duration>,
}

impl std::fmt::Debug for Filter {
    /// Without the recipient, who is a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter")
            .field("channel", &self.channel)
            .field("destination", &self.destination)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// As a condition of a statement.
    pub(super) fn condition(&self, now: Timestamp) -> Condition {
        let older = self.older_than.map(|age| Column::CreatedAt.lte(now - age));
        self.indexed(now)
            .add_option(self.channel.as_deref().map(|channel| Column::Channel.eq(channel)))
            .add_option(self.destination.as_deref().map(goes_to))
            .add_option(self.reason.map(|reason| Column::Reason.eq(reason)))
            .add_option(older)
    }

    /// The part of the condition for which there is an index in the order of ids.
    fn indexed(&self, now: Timestamp) -> Condition {
        let made = self.older_than.map(|age| Column::Id.lt(first_id(now - age + APART)));
        Condition::all()
            .add_option(self.recipient.as_deref().map(is_to))
            .add_option(self.status.map(|status| Column::Status.eq(status)))
            .add_option(made)
    }

    /// Whether most of the rows that an index finds may not match.
    const fn is_scanned(&self) -> bool {
        self.recipient.is_none() && (self.channel.is_some() || self.destination.is_some() || self.reason.is_some())
    }
}

/// A page of what was found.
#[derive(Debug)]
pub struct Page {
    /// The deliveries, the newest first.
    pub deliveries: Vec<Delivery>,
    /// The next page begins behind this id; none: there is no next page. A short page may have a next one: the search for
    /// one page ends when it has looked at 50,000 rows.
    pub next: Option<Uuid>,
}

/// SQL: the recipient is this one, in upper or lower case, in the words of the index.
fn is_to(recipient: &str) -> Expr {
    let given = Func::lower(Expr::value(recipient));
    Expr::expr(Func::lower(Expr::col((Entity, Column::Recipient)))).eq(given)
}

/// SQL: the destination or the provider is this one. `mail` includes its parts, which have numbers (`mail-7`) or names
/// (`mail.backup`).
fn goes_to(destination: &str) -> Condition {
    let literal: String = destination
        .chars()
        .flat_map(|c| matches!(c, '!' | '%' | '_').then_some('!').into_iter().chain([c]))
        .collect();
    let part = |mark: char| Column::Destination.like(LikeExpr::new(format!("{literal}{mark}%")).escape('!'));
    Condition::any()
        .add(Column::Destination.eq(destination))
        .add(part('-'))
        .add(part('.'))
        .add(Column::Provider.eq(destination))
}

/// Finds deliveries, the newest first, `limit` a page at most; `before` is [`Page::next`] of the page before.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn find(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    (before, limit): (Option<Uuid>, u64),
    now: Timestamp,
) -> Result<Page, DbErr> {
    find_among(connection, filter, (before, limit, LOOKED_AT), now).await
}

async fn find_among(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    (before, limit, looked_at): (Option<Uuid>, u64, u64),
    now: Timestamp,
) -> Result<Page, DbErr> {
    let begin = before.map(|before| Column::Id.lt(before));
    let mut last_looked_at = None;
    if filter.is_scanned() {
        let known = Condition::all().add(filter.indexed(now)).add_option(begin.clone());
        let ids = Entity::find().select_only().column(Column::Id).filter(known);
        let ids = ids.order_by_desc(Column::Id).offset(looked_at - 1).limit(1);
        last_looked_at = ids.into_tuple::<Uuid>().one(connection).await?;
    }
    let meant = Condition::all()
        .add(filter.condition(now))
        .add_option(begin)
        .add_option(last_looked_at.map(|last| Column::Id.gte(last)));
    // One more than asked for says whether there is a next page.
    let found = Entity::find().filter(meant).order_by_desc(Column::Id).limit(limit + 1);
    let mut deliveries = found.all(connection).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = if deliveries.len() > most {
        deliveries.truncate(most);
        deliveries.last().map(|row| row.id)
    } else {
        last_looked_at
    };
    Ok(Page { deliveries, next })
}

/// What single deliveries are known by.
#[derive(Clone, Default)]
pub struct Keys {
    /// Recipients, in upper or lower case.
    pub recipients: Vec<String>,
    /// Deliveries, or events that asked for them.
    pub ids: Vec<Uuid>,
    /// A trace, by its 32 hexadecimal digits.
    pub trace_id: Option<String>,
}

/// Finds the deliveries that any of the keys belongs to, the newest first, `limit` at most.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn find_by_keys(connection: &impl ConnectionTrait, keys: &Keys, limit: u64) -> Result<Vec<Delivery>, DbErr> {
    let mut found: Vec<Delivery> = Vec::new();
    // One statement for each key and column: each uses its index, and one statement with OR would use none.
    let by_recipient = keys
        .recipients
        .iter()
        .map(|recipient| Condition::all().add(is_to(recipient)));
    let by_id = keys.ids.iter().flat_map(|id| {
        [
            Column::Id.eq(*id),
            Column::SourceEventId.eq(*id),
            Column::OriginEventId.eq(*id),
        ]
    });
    let by_trace = keys.trace_id.iter().map(|trace_id| {
        let place = [
            Expr::col((Entity, Column::Traceparent)),
            Expr::cust("4"),
            Expr::cust("32"),
        ];
        Expr::expr(Func::cust("substr").args(place)).eq(trace_id.as_str())
    });
    let conditions = by_recipient
        .chain(by_id.map(|id| Condition::all().add(id)))
        .chain(by_trace.map(|trace| Condition::all().add(trace)));
    for condition in conditions {
        let rows = Entity::find().filter(condition).order_by_desc(Column::Id).limit(limit);
        found.extend(rows.all(connection).await?);
    }
    // A copy that an operator ordered has a trace of its own.
    let events: Vec<Uuid> = found.iter().map(Delivery::event_id).take(COPIES_OF).collect();
    if keys.trace_id.is_some() && !events.is_empty() {
        let copies = Entity::find().filter(Column::OriginEventId.is_in(events));
        found.extend(copies.order_by_desc(Column::Id).limit(limit).all(connection).await?);
    }
    found.sort_unstable_by_key(|delivery| std::cmp::Reverse(delivery.id));
    found.dedup_by_key(|delivery| delivery.id);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
