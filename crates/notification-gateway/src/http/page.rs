//! `?state=`, `?limit=`, `?cursor=`, and what a list answers.

use actix_web::HttpRequest;
use common::http::{Problem, kinds};
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
    let query: ListQuery = serde_urlencoded::from_str(request.query_string())
        .map_err(|_| Problem::new(&kinds::BAD_REQUEST).detail("The query can't be read."))?;
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

fn states(text: &str) -> Option<Vec<ReadState>> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| match word {
            "unread" => Some(ReadState::Unread),
            "read" => Some(ReadState::Read),
            "archived" => Some(ReadState::Archived),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(query: &str) -> Result<Page, Problem> {
        parse(&TestRequest::with_uri(&format!("/?{query}")).to_http_request())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let page = read("").unwrap();
        assert_eq!((page.limit, page.before, page.states.len()), (20, None, 0));
    }

    #[test]
    fn states_come_with_commas_between() {
        assert_eq!(
            read("state=unread,read").unwrap().states,
            [ReadState::Unread, ReadState::Read]
        );
    }

    #[test]
    fn every_rule_that_does_not_hold_is_named() {
        for query in ["limit=0&state=x", "limit=101&state=x", "limit=many&state=unread,x"] {
            assert_eq!(read(query).unwrap_err().field_errors().len(), 2, "{query}");
        }
        assert_eq!(read("cursor=x").unwrap_err().kind().slug, "bad-cursor");
    }
}
