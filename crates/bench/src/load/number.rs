//! Requests that must differ from each other.

/// Where this stands in a request, a number of as many digits is put that stands in no other one of the turn.
pub(crate) const NUMBER: &str = "########";

/// Whether a request has a place for a number.
pub(super) fn is_numbered(request: &[u8]) -> bool {
    place(request).is_some()
}

/// A request with `number` where it is to stand.
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
