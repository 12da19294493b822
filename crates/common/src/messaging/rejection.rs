//! Why a message was not taken in, and whether another attempt may help.

use std::error::Error;
use std::fmt;

use sea_orm::DbErr;

use crate::database::{is_data_refused, is_in_trouble_within, is_transient_within};

/// Why a message was not taken in.
pub enum Rejection {
    /// The trouble may pass: the message is tried again, at once where a moment is enough, otherwise later.
    Retry(Box<dyn Error + Send + Sync>),
    /// No other attempt would help: the message is set aside.
    DeadLetter {
        /// For whoever looks at the dead letters; holds no personal data.
        reason: String,
    },
}

impl Rejection {
    /// Asks for another attempt.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry(error.into())
    }

    /// Sets the message aside.
    pub fn dead_letter(reason: impl Into<String>) -> Self {
        Self::DeadLetter { reason: reason.into() }
    }

    /// Whether the trouble is of the kind that is over in a moment: a database's conflict or lost connection.
    pub(in crate::messaging) fn is_momentary(&self) -> bool {
        let Self::Retry(error) = self else { return false };
        is_transient_within(error.as_ref())
    }

    /// Whether the database is in trouble, rather than the message.
    pub(in crate::messaging) fn is_own_trouble(&self) -> bool {
        let Self::Retry(error) = self else { return false };
        is_in_trouble_within(error.as_ref())
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(error) => f.debug_tuple("Retry").field(error).finish(),
            Self::DeadLetter { reason } => f.debug_struct("DeadLetter").field("reason", reason).finish(),
        }
    }
}

impl From<DbErr> for Rejection {
    /// Sets the message aside when the database can't hold its data; anything else is tried again.
    fn from(error: DbErr) -> Self {
        if is_data_refused(&error) {
            // Without the error's text, which may quote the data.
            return Self::dead_letter("the database can't hold this data");
        }
        Self::Retry(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnAcquireErr;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] DbErr);

    #[test]
    fn a_lost_connection_is_momentary_however_deep_it_lies() {
        let lost = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        assert!(Rejection::from(lost()).is_momentary());
        assert!(Rejection::retry(Outer(lost())).is_momentary());
        assert!(!Rejection::retry("a provider is away").is_momentary());
        assert!(!Rejection::dead_letter("never").is_momentary());
    }
}
