//! What each version that is or was in production reads, as it reads it.

mod e2cb75f;

use serde_json::Value;

/// Reads one message as one version did; answers with all that it understood, or why it could not.
pub(crate) type Reader = fn(&str) -> Result<Value, serde_json::Error>;

/// The readers of a version, by type; nothing for a version whose types were not copied here.
pub(crate) fn readers(version: &str) -> &'static [(&'static str, Reader)] {
    match version {
        "e2cb75f" => e2cb75f::READERS,
        _ => &[],
    }
}
