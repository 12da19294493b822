//! Finds deliveries: by what an operator knows of them.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::delivery::{Column, Entity};
use super::{Delivery, Reason, Status};
use crate::Timestamp;

/// The copies of so many events are looked for, where a trace is asked for.
const COPIES_OF: usize = 20;

/// What deliveries are asked for: all that are of each kind which is named.
#[derive(Clone, Default)]
pub struct Filter {
    /// To whom: whatever the column holds, in any case of letters.
    pub recipient: Option<String>,
    /// How they travel.
    pub channel: Option<String>,
    /// What is called for them: a destination, all that is part of it, or who was asked.
    pub destination: Option<String>,
    /// Where they stand.
    pub status: Option<Status>,
    /// Why.
    pub reason: Option<Reason>,
    /// Asked for so long ago at least.
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
        Condition::all()
            .add_option(self.recipient.as_deref().map(is_to))
            .add_option(self.channel.as_deref().map(|channel| Column::Channel.eq(channel)))
            .add_option(self.destination.as_deref().map(goes_to))
            .add_option(self.status.map(|status| Column::Status.eq(status)))
            .add_option(self.reason.map(|reason| Column::Reason.eq(reason)))
            .add_option(older)
    }
}

/// Whether it is for somebody, as an index has it.
fn is_to(recipient: &str) -> Expr {
    let given = Func::lower(Expr::value(recipient));
    Expr::expr(Func::lower(Expr::col((Entity, Column::Recipient)))).eq(given)
}

/// `mail` is all mail, whose parts have numbers (`mail-7`) or names (`mail.backup`).
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

/// Finds deliveries, the newest first; `before` is the last one of the page before.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn find(
    connection: &impl ConnectionTrait,
    filter: &Filter,
    (before, limit): (Option<Uuid>, u64),
    now: Timestamp,
) -> Result<Vec<Delivery>, DbErr> {
    let mut found = Entity::find().filter(filter.condition(now));
    if let Some(before) = before {
        found = found.filter(Column::Id.lt(before));
    }
    found.order_by_desc(Column::Id).limit(limit).all(connection).await
}

/// By what single deliveries may be known.
#[derive(Clone, Default)]
pub struct Keys {
    /// Recipients, as the column has them.
    pub recipients: Vec<String>,
    /// Deliveries, or events that asked for them.
    pub ids: Vec<Uuid>,
    /// A trace.
    pub trace_id: Option<String>,
}

/// Finds the deliveries that any of the keys is of, the newest first.
///
/// # Errors
/// [`DbErr`] when the database can't be asked.
pub async fn find_by_keys(connection: &impl ConnectionTrait, keys: &Keys, limit: u64) -> Result<Vec<Delivery>, DbErr> {
    let mut found: Vec<Delivery> = Vec::new();
    // A statement a way: each has its index, and a disjunction would have none.
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
