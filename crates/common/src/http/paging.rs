//! `?limit=` and the rest of a list's query: read in one way by every list.

use actix_web::web::Query;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{RefOr, Required, Schema};

use super::{Problem, Violation, kinds};

/// How many items a page has when nobody says.
pub const LIMIT_DEFAULT: u64 = 20;
/// How many items a page has at most.
pub const LIMIT_MOST: u64 = 100;

/// Takes a query apart whose fields are all text that may be left out. Bytes that are no UTF-8 are refused, because the
/// reader would replace them silently. Fields that `T` does not have are passed over.
///
/// # Errors
/// 400 when it is no UTF-8, 422 when a field is there twice.
pub fn query_fields<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(Problem::new(&kinds::BAD_REQUEST).detail("The query is not UTF-8."));
    }
    Query::<T>::from_query(query).map(Query::into_inner).map_err(|error| {
        // All fields are optional text: only a second one of a kind can't be read.
        let text = error.to_string();
        let field = text.split('`').nth(1).unwrap_or_default();
        Problem::new(&kinds::VALIDATION).error(format!("/{field}"), "duplicate", "This field is there twice.")
    })
}

/// The number of items that a query asks for; without one, [`LIMIT_DEFAULT`].
///
/// # Errors
/// The rule, when it is no number from 1 to [`LIMIT_MOST`].
pub fn page_limit(text: Option<&str>) -> Result<u64, Violation> {
    let Some(text) = text else {
        return Ok(LIMIT_DEFAULT);
    };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MOST).contains(limit));
    limit.ok_or(Violation {
        code: "out-of-range",
        detail: "must be a number from 1 to 100",
    })
}

/// A parameter of a query, which may be left out, as an API's description has it.
pub fn query_parameter(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Fields {
        limit: Option<String>,
    }

    #[test]
    fn a_limit_is_from_1_to_100_and_20_when_nobody_says() {
        assert_eq!((page_limit(None), page_limit(Some("100"))), (Ok(20), Ok(100)));
        for bad in ["0", "101", "-1", "many", ""] {
            assert!(page_limit(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_that_says_a_thing_twice_or_is_no_utf8_is_refused() {
        assert_eq!(
            query_fields::<Fields>("limit=7&else=x").unwrap().limit.as_deref(),
            Some("7")
        );
        let twice = query_fields::<Fields>("limit=1&limit=2").unwrap_err();
        assert_eq!(
            (twice.kind().status, twice.field_errors()[0].pointer.as_str()),
            (422, "/limit")
        );
        assert_eq!(query_fields::<Fields>("limit=%ff").unwrap_err().kind().status, 400);
    }
}
