//! The bound of a query: how much an address may have behind its `?`.
//!
//! The server itself takes addresses of 64 KiB. What reads a query goes through all of it, once for each thing that it
//! looks for, and a request that is refused for its rate has been looked at by then.

use super::{Problem, kinds};

/// Most bytes of a query as it is sent, with its escapes. The longest that somebody needs names a recipient of 320
/// characters, each of twelve bytes at most, and a few words.
const MOST: usize = 8 * 1024;

/// Refuses a query that is longer than any that is needed.
///
/// # Errors
/// 414.
pub(super) fn bounded(query: &str) -> Result<(), Problem> {
    if query.len() > MOST {
        return Err(Problem::new(&kinds::URI_TOO_LONG));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_of_8_kib_is_the_longest() {
        assert!(bounded("").is_ok());
        assert!(bounded(&"x".repeat(8192)).is_ok());
        assert_eq!(bounded(&"x".repeat(8193)).unwrap_err().kind().status, 414);
    }
}
