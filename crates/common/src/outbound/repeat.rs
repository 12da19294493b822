//! Whether a request may be sent twice: the caller knows, and the retry layer asks.

use reqwest::Method;

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeat {
    /// What its method says: GET, HEAD, OPTIONS, PUT and DELETE may.
    #[default]
    ByMethod,
    /// It may: the destination knows it by an idempotency key, or twice does no harm.
    Safe,
    /// It must not, whatever its method.
    Never,
}

impl Repeat {
    pub(super) fn resolve(self, method: &Method) -> bool {
        match self {
            Self::ByMethod => method.is_idempotent(),
            Self::Safe => true,
            Self::Never => false,
        }
    }
}
