//! `?state=`, `?limit=`, `?cursor=`: which notifications a list is asked for.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use common::http::{
    Describe, LIMIT_DEFAULT, LIMIT_MOST, OperationDoc, Problem, Violation, Violations, kinds, page_limit, query_fields,
    query_parameter,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::tables::notifications::{Page, ReadState};

/// Form of the states: words and blanks between commas.
const STATES: &str = "^ *(unread|read|archived)? *(, *(unread|read|archived)? *)*$";
/// Form of a cursor: the number of a notification.
const CURSOR: &str = "^([1-9][0-9]{0,17})?$";

/// The page that the query asks for. A refusal names every rule that does not hold.
#[derive(Debug)]
pub(crate) struct Requested(pub(crate) Page);

impl FromRequest for Requested {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

impl Describe for Requested {
    fn describe(operation: &mut OperationDoc) {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1_u64))
            .maximum(Some(LIMIT_MOST))
            .default(Some(LIMIT_DEFAULT.into()));
        let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some(CURSOR));
        let states = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(STATES))
            .examples([json!("unread,read")]);
        operation.parameter(query_parameter(
            "state",
            "In one of these states, with commas between; without any: in whichever",
            states,
        ));
        operation.parameter(query_parameter("limit", "How many at most", limit));
        operation.parameter(query_parameter("cursor", "`next_cursor` of the answer before", cursor));
        operation.problem(&kinds::BAD_REQUEST);
        operation.problem(&kinds::BAD_CURSOR);
        operation.problem(&kinds::VALIDATION);
    }
}

/// The fields of the query, as text.
#[derive(Debug, Deserialize)]
struct Fields {
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

fn parse(query: &str) -> Result<Page, Problem> {
    let fields: Fields = query_fields(query)?;
    let before = cursor(fields.cursor.as_deref().unwrap_or_default())?;
    let mut broken = Violations::default();
    let limit = broken.note("/limit", page_limit(fields.limit.as_deref()));
    let states = broken.note("/state", fields.state.as_deref().map_or(Ok(Vec::new()), states));
    match (limit, states) {
        (Some(limit), Some(states)) => Ok(Page { states, before, limit }),
        _ => Err(broken.into()),
    }
}

/// The number that a cursor stands for: digits, without a sign and without zeros in front.
fn cursor(text: &str) -> Result<Option<i64>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok().filter(|_| is_number);
    number.map(Some).ok_or_else(|| Problem::new(&kinds::BAD_CURSOR))
}

/// The states, each once, also when a word comes twice. So the statement that asks for them has few forms.
fn states(text: &str) -> Result<Vec<ReadState>, Violation> {
    let mut states = Vec::with_capacity(ReadState::ALL.len());
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let state = ReadState::parse(word).ok_or(Violation {
            code: "unknown",
            detail: "must be of unread, read and archived, with commas between",
        })?;
        if !states.contains(&state) {
            states.push(state);
        }
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, Problem> {
        parse(query)
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let page = page("").unwrap();
        assert_eq!((page.limit, page.before, page.states.len()), (20, None, 0));
    }

    #[test]
    fn states_come_with_commas_between() {
        assert_eq!(
            page("state=unread,read").unwrap().states,
            [ReadState::Unread, ReadState::Read]
        );
    }

    #[test]
    fn every_rule_that_does_not_hold_is_named() {
        for query in ["limit=0&state=x", "limit=101&state=x", "limit=many&state=unread,x"] {
            assert_eq!(page(query).unwrap_err().field_errors().len(), 2, "{query}");
        }
        for cursor in ["x", "0", "-1", "+1", "01", "99999999999999999999"] {
            let refused = page(&format!("cursor={}", cursor.replace('+', "%2B"))).unwrap_err();
            assert_eq!(refused.kind().slug, "bad-cursor", "{cursor}");
        }
    }

    #[test]
    fn a_state_that_is_there_twice_is_one_and_an_empty_word_is_none() {
        let expected = [ReadState::Read, ReadState::Unread];
        assert_eq!(page("state=read,unread,read, ,").unwrap().states, expected);
        assert!(page("state=").unwrap().states.is_empty());
    }

    #[test]
    fn a_query_that_says_a_thing_twice_or_is_no_utf8_is_refused() {
        let problem = page("limit=1&state=read&limit=2").unwrap_err();
        assert_eq!(
            (problem.kind().status, problem.field_errors()[0].pointer.as_str()),
            (422, "/limit")
        );
        assert_eq!(page("state=%ff").unwrap_err().kind().status, 400);
    }
}
