//! Requests that must differ from each other.

use std::borrow::Cow;

/// Where this stands in a request, a number of as many digits is put that stands in no other one of the turn.
pub(crate) const NUMBER: &str = "########";

/// A request with `number` where it is to stand; most have no such place.
pub(super) fn numbered(request: &[u8], number: usize) -> Cow<'_, [u8]> {
    let Some(at) = request.windows(NUMBER.len()).position(|part| part == NUMBER.as_bytes()) else {
        return Cow::Borrowed(request);
    };
    let digits = format!("{number:0width$}", width = NUMBER.len());
    Cow::Owned([&request[..at], digits.as_bytes(), &request[at + NUMBER.len()..]].concat())
}
