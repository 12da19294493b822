//! What production runs with and would better not.

use std::borrow::Cow;
use std::fmt;

/// A setting that is good for development or for a network of one's own, and what production wants instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeakPart {
    /// The key, as `section.key`.
    pub key: Cow<'static, str>,
    /// What is wrong, and what to set.
    pub cure: &'static str,
}

impl fmt::Display for WeakPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.cure)
    }
}

/// The weak parts of one service; none under any profile but production.
#[derive(Debug, Clone, Default)]
pub(super) struct Weaknesses {
    pub(super) development: Vec<WeakPart>,
    pub(super) in_clear: Vec<WeakPart>,
}
