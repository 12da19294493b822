//! The problems that this service has beside the shared ones, and how its own errors become failures.

use common::http::{Failure, Kind};

use crate::{passwords::PasswordsError, signing_keys::NoKeys};

/// 409: somebody else has the address.
pub(crate) static EMAIL_TAKEN: Kind = Kind {
    slug: "email-taken",
    status: 409,
    title: "The email address is taken",
    help: "An account with this address exists. Log in, or use another address.",
};

/// 401: the address or the password is wrong. The answer does not say which.
pub(crate) static BAD_CREDENTIALS: Kind = Kind {
    slug: "bad-credentials",
    status: 401,
    title: "The email address or the password is wrong",
    help: "Check both. Which of them is wrong is not said.",
};

impl From<PasswordsError> for Failure {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => Self::Unavailable(error.into()),
            PasswordsError::Failed(_) | PasswordsError::Panicked => Self::Defect(error.into()),
        }
    }
}

impl From<NoKeys> for Failure {
    fn from(error: NoKeys) -> Self {
        Self::Unavailable(error.into())
    }
}
