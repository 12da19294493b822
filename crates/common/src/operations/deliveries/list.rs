//! `GET /operations/deliveries`: which deliveries there are, and what was exchanged about each.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use super::filter::Fields;
use super::state::State;
use super::view::{DeliveryView, views};
use crate::Timestamp;
use crate::database::within_deadline;
use crate::dispatch::{Filter, find};
use crate::http::{
    Answer, Describe, Found, OperationDoc, OperationError, Problem, Violation, Violations, kinds, page_limit,
    query_fields, query_parameter,
};
use crate::operations::listed::Listed;
use crate::operations::page;

/// Lists a page of them, the newest first.
pub(super) async fn list_deliveries(
    state: Data<State>,
    Requested { filter, before, limit }: Requested,
) -> Result<Answer<Found<Listed<DeliveryView>>>, OperationError> {
    let connection = state.changes.database().read();
    let page = within_deadline(find(connection, &filter, (before, limit), Timestamp::now())).await?;
    Ok(Answer::found(&Listed {
        items: within_deadline(views(connection, page.deliveries)).await?,
        next_cursor: page.next.map(|last| last.to_string()),
    }))
}

/// Which page of which deliveries the query asks for.
pub(super) struct Requested {
    filter: Filter,
    before: Option<Uuid>,
    limit: u64,
}

/// The fields of the query, as text.
#[derive(Debug, Deserialize)]
struct Query {
    recipient: Option<String>,
    channel: Option<String>,
    destination: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    older_than_s: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl Requested {
    fn parse(query: &str) -> Result<Self, Problem> {
        let query: Query = query_fields(query)?;
        let before = page::before(query.cursor)?;
        let mut broken = Violations::default();
        let older_than_s = broken.note_optional("/older_than_s", query.older_than_s.map(|text| number(&text)));
        let fields = Fields {
            recipient: query.recipient,
            channel: query.channel,
            destination: query.destination,
            status: query.status,
            reason: query.reason,
            older_than_s: older_than_s.flatten(),
        };
        let filter = fields.read("", &mut broken);
        let limit = broken.note("/limit", page_limit(query.limit.as_deref()));
        broken.unless_broken(())?;
        match (filter, limit) {
            (Some(filter), Some(limit)) => Ok(Self { filter, before, limit }),
            // Nothing is missing where no rule is broken.
            _ => Err(Problem::new(&kinds::VALIDATION)),
        }
    }
}

fn number(text: &str) -> Result<i64, Violation> {
    text.parse().map_err(|_| Violation {
        code: "out-of-range",
        detail: "must be a number of seconds",
    })
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
        let text = || ObjectBuilder::new().schema_type(Type::String);
        for (name, what) in [
            ("recipient", "To whom: an address, a number or a person's id"),
            ("channel", "How, such as `email` or `sms`"),
            ("destination", "What is called, such as `mail` or `sms.backup`"),
            ("status", "Where they stand"),
            ("reason", "Why"),
        ] {
            operation.parameter(query_parameter(name, what, text()));
        }
        let age = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_u64));
        operation.parameter(query_parameter(
            "older_than_s",
            "Asked for so many seconds ago at least",
            age,
        ));
        page::describe(operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_any_of_the_fields() {
        let asked = Requested::parse("status=failed&destination=mail&older_than_s=60&limit=5").unwrap();
        assert_eq!(asked.filter.destination.as_deref(), Some("mail"));
        assert_eq!((asked.filter.older_than.unwrap().as_secs(), asked.limit), (60, 5));
        for (query, status) in [
            ("status=lost", 422),
            ("older_than_s=soon", 422),
            ("limit=0", 422),
            ("cursor=x", 400),
            ("recipient=a&recipient=b", 422),
        ] {
            assert_eq!(Requested::parse(query).err().unwrap().kind().status, status, "{query}");
        }
    }
}
