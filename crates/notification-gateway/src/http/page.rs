//! `?state=`, `?limit=`, `?cursor=`, and what a list answers.

use actix_web::HttpRequest;
use common::http::{Problem, kinds};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::notifications::{DeliveryView, NotificationView};
use crate::storage::notifications::{Page, ReadState};

const LIMIT_DEFAULT: u64 = 20;
const LIMIT_MOST: u64 = 100;

/// What a list may be asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// States, with commas between: unread, read, archived. Without it: all.
    state: Option<String>,
    /// 1 to 100, by default 20.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// A page of notifications, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotificationPage {
    pub(super) items: Vec<NotificationView>,
    pub(super) next_cursor: Option<String>,
}

/// All deliveries of a notification.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryPage {
    pub(super) items: Vec<DeliveryView>,
    /// Always null: there are never more than a few.
    pub(super) next_cursor: Option<String>,
}

/// Reads the query; every rule that does not hold is named.
pub(super) fn parse(request: &HttpRequest) -> Result<Page, Problem> {
    let query = read(request.query_string())?;
    let before = match query
        .cursor
        .as_deref()
        .filter(|cursor| !cursor.is_empty())
        .map(str::parse::<i64>)
    {
        None => None,
        Some(Ok(seq)) if seq > 0 => Some(seq),
        Some(_) => return Err(Problem::new(&kinds::BAD_CURSOR)),
    };
    let mut problem = Problem::new(&kinds::VALIDATION);
    let limit = query.limit.as_deref().map_or(Ok(LIMIT_DEFAULT), str::parse);
    let limit = limit.ok().filter(|limit| (1..=LIMIT_MOST).contains(limit));
    if limit.is_none() {
        problem = problem.error("/limit", "out-of-range", "must be a number from 1 to 100");
    }
    let states = states(query.state.as_deref().unwrap_or_default());
    if states.is_none() {
        problem = problem.error(
            "/state",
            "unknown",
            "must be of unread, read and archived, with commas between",
        );
    }
    match (limit, states) {
        (Some(limit), Some(states)) => Ok(Page { states, before, limit }),
        _ => Err(problem),
    }
}

/// Takes the query apart. Bytes that are no UTF-8 would be replaced silently, and the last of two fields taken.
fn read(query: &str) -> Result<ListQuery, Problem> {
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(Problem::new(&kinds::BAD_REQUEST).detail("The query is not UTF-8."));
    }
    serde_urlencoded::from_str(query).map_err(|error| {
        // All fields are optional text: only a second one of a kind can't be read.
        let text = error.to_string();
        let field = text.split('`').nth(1).unwrap_or_default();
        Problem::new(&kinds::VALIDATION).error(format!("/{field}"), "duplicate", "This field is there twice.")
    })
}

fn states(text: &str) -> Option<Vec<ReadState>> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(ReadState::parse).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn page(query: &str) -> Result<Page, Problem> {
        parse(&TestRequest::with_uri(&format!("/?{query}")).to_http_request())
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
        assert_eq!(page("cursor=x").unwrap_err().kind().slug, "bad-cursor");
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
