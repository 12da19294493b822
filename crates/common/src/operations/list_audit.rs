//! `GET /operations/audit`: what operators did, the newest first.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::audit::{self, Line};
use super::listed::Listed;
use super::page;
use super::state::State;
use crate::Timestamp;
use crate::database::within_deadline;
use crate::http::{
    Answer, Describe, Found, OperationDoc, OperationError, Problem, Violations, page_limit, query_fields,
};

/// What somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditLine)]
pub(super) struct View {
    id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who, by their own word.
    who: String,
    /// What.
    #[schema(example = "breakers.set")]
    action: String,
    /// To what.
    #[schema(example = "sms")]
    target: String,
    /// Why.
    reason: String,
    /// What else there is to say of it.
    #[schema(required, value_type = Option<Object>)]
    details: Option<Value>,
    /// In which trace.
    trace_id: String,
}

impl From<Line> for View {
    fn from(line: Line) -> Self {
        let Line {
            id,
            at,
            who,
            action,
            target,
            reason,
            details,
            trace_id,
        } = line;
        Self {
            id,
            at,
            who,
            action,
            target,
            reason,
            details,
            trace_id,
        }
    }
}

/// Lists a page of it.
pub(super) async fn list_audit(
    state: Data<State>,
    Requested { before, limit }: Requested,
) -> Result<Answer<Found<Listed<View>>>, OperationError> {
    let connection = state.changes.database().read();
    // One more than asked for says whether there is a next page.
    let mut lines = within_deadline(audit::list(connection, before, limit + 1)).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = lines.len() > most;
    lines.truncate(most);
    let next_cursor = lines.last().filter(|_| has_more).map(|line| line.id.to_string());
    Ok(Answer::found(&Listed {
        items: lines.into_iter().map(View::from).collect(),
        next_cursor,
    }))
}

/// Which page the query asks for: what was done before this line.
pub(super) struct Requested {
    before: Option<Uuid>,
    limit: u64,
}

/// The fields of the query, as text.
#[derive(Debug, Deserialize)]
struct Fields {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Requested {
    fn parse(query: &str) -> Result<Self, Problem> {
        let fields: Fields = query_fields(query)?;
        let before = page::before(fields.cursor)?;
        let mut broken = Violations::default();
        match broken.note("/limit", page_limit(fields.limit.as_deref())) {
            Some(limit) => Ok(Self { before, limit }),
            None => Err(broken.into()),
        }
    }
}

impl FromRequest for Requested {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl Describe for Requested {
    fn describe(operation: &mut OperationDoc) {
        page::describe(operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_bounds_and_a_cursor_is_one_of_ours() {
        let page = Requested::parse("").unwrap();
        assert_eq!((page.before, page.limit), (None, 20));
        let id = Uuid::now_v7();
        let page = Requested::parse(&format!("cursor={id}&limit=100")).unwrap();
        assert_eq!((page.before, page.limit), (Some(id), 100));
        for (query, status) in [
            ("cursor=x", 400),
            ("limit=0", 422),
            ("limit=101", 422),
            ("limit=1&limit=2", 422),
        ] {
            assert_eq!(Requested::parse(query).err().unwrap().kind().status, status, "{query}");
        }
    }
}
