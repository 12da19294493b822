//! Requests that must differ from each other.

/// A place for a number in a request. It is filled with as many digits, which no other request of the turn has.
pub(crate) const NUMBER: &str = "########";

/// Whether a request has a place for a number.
pub(super) fn is_numbered(request: &[u8]) -> bool {
    place(request).is_some()
}

/// A request with `number` in its place; the request itself when it has none.
pub(super) fn numbered(request: &[u8], number: usize) -> Vec<u8> {
    let Some(at) = place(request) else {
        return request.to_vec();
    };
    let digits = format!("{number:0width$}", width = NUMBER.len());
    [&request[..at], digits.as_bytes(), &request[at + NUMBER.len()..]].concat()
}

fn place(request: &[u8]) -> Option<usize> {
    request.windows(NUMBER.len()).position(|part| part == NUMBER.as_bytes())
}
