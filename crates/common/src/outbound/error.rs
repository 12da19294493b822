//! Why a call has no answer. Each layer answers in these words, and none names an address with its query.

use std::time::Duration;

use reqwest_retry::RetryError;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The call was not made: the destination rests, or this process calls it enough already.
    #[error("not called: {refusal}")]
    Unavailable {
        /// What refused it.
        refusal: Refusal,
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// The call was made and failed in a way that passes; a further try was refused.
    #[error("called, and not again: {refusal}")]
    NotAgain {
        /// What refused the further try.
        refusal: Refusal,
        /// When it is worth asking again: the later of what the refusal and the last answer say.
        retry_after: Duration,
        /// Whether a try before may have been received.
        may_be_received: bool,
    },
    /// No whole answer in time.
    #[error("no answer within {} ms", after.as_millis())]
    Timeout {
        /// The time that was given.
        after: Duration,
    },
    /// The answer began, and its next piece did not come.
    #[error("the answer stalled for {} ms", after.as_millis())]
    Stalled {
        /// The time that was given from one piece to the next.
        after: Duration,
    },
    /// The connection failed.
    #[error("the connection failed")]
    Transport(#[source] reqwest::Error),
    /// The answer was longer than is read.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// Bytes that are read at most.
        limit: usize,
    },
    /// An answer with a status that the caller does not take.
    #[error("the answer was {status}")]
    Status {
        /// HTTP status.
        status: u16,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
    },
    /// The request or the client could not be made.
    #[error("the call could not be made")]
    Request(#[source] reqwest::Error),
}

/// What kept a call from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The destination failed too often.
    BreakerOpen,
    /// The destination asked not to be called for a time.
    Paused,
    /// The agreed rate is used up.
    RateLimited,
    /// As many calls as are allowed are under way.
    BulkheadFull,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BreakerOpen => "the circuit breaker is open",
            Self::Paused => "the destination asked to wait",
            Self::RateLimited => "the rate limit is used up",
            Self::BulkheadFull => "too many calls are under way",
        })
    }
}

impl OutboundError {
    /// Whether the destination may have received the call, and nothing was heard of what became of it. Of an answer with
    /// a status, [`leaves_open`](super::OutboundResponse::leaves_open) says that.
    pub fn may_be_received(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Stalled { .. } | Self::TooLarge { .. } => true,
            // A connection that never was is told apart.
            Self::Transport(cause) => !cause.is_connect(),
            Self::NotAgain { may_be_received, .. } => *may_be_received,
            Self::Unavailable { .. } | Self::Status { .. } | Self::Request(_) => false,
        }
    }

    /// Word for metrics and spans.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable {
                refusal: Refusal::BreakerOpen,
                ..
            } => "breaker_open",
            Self::Unavailable {
                refusal: Refusal::Paused,
                ..
            } => "paused",
            Self::Unavailable {
                refusal: Refusal::RateLimited,
                ..
            } => "rate_limited",
            Self::Unavailable {
                refusal: Refusal::BulkheadFull,
                ..
            } => "bulkhead_full",
            Self::NotAgain { .. } => "not_again",
            Self::Timeout { .. } => "timeout",
            Self::Stalled { .. } => "stalled",
            Self::Transport(_) => "connection",
            Self::TooLarge { .. } => "answer_too_large",
            Self::Status { .. } => "status",
            Self::Request(_) => "request",
        }
    }

    /// Takes the library's wrapping off.
    pub(super) fn unwrap_from(error: reqwest_middleware::Error) -> Self {
        let error = match error {
            reqwest_middleware::Error::Reqwest(error) => return Self::of_reqwest(error),
            reqwest_middleware::Error::Middleware(error) => error,
        };
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) => match error.downcast::<RetryError>() {
                Ok(RetryError::WithRetries { err, .. } | RetryError::Error(err)) => Self::unwrap_from(err),
                // No layer of ours makes another kind; the call counts as not made.
                Err(_) => Self::Unavailable {
                    refusal: Refusal::BreakerOpen,
                    retry_after: Duration::from_secs(1),
                },
            },
        }
    }

    pub(super) fn of_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_builder() {
            Self::Request(error)
        } else {
            Self::Transport(error)
        }
    }

    /// The error of ours that `error` carries.
    pub(super) fn within(error: &reqwest_middleware::Error) -> Option<&Self> {
        match error {
            reqwest_middleware::Error::Middleware(error) => error.downcast_ref(),
            reqwest_middleware::Error::Reqwest(_) => None,
        }
    }
}

impl From<OutboundError> for reqwest_middleware::Error {
    fn from(error: OutboundError) -> Self {
        Self::middleware(error)
    }
}
