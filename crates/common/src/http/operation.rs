//! Why an operation has no answer: the one shape of every handler's error.

use strum::{EnumIter, IntoEnumIterator};

use super::describe::{Describe, OperationDoc};
use super::{Failure, Kind, Problem, Violations, kinds};

/// What one operation refuses, by its own rules: an enum of unit variants and one match.
///
/// The problems in the API's description follow from it, so derive `strum::EnumIter`: no variant is left out.
pub trait Refusal: IntoEnumIterator {
    /// The problem that the caller sees.
    fn problem(&self) -> Problem;

    /// The kinds of all its variants.
    fn kinds() -> Vec<&'static Kind> {
        Self::iter().map(|refusal| refusal.problem().kind()).collect()
    }
}

/// The refusal of an operation that has no rules of its own.
#[derive(Debug, Clone, Copy, EnumIter)]
pub enum NoRefusal {}

impl Refusal for NoRefusal {
    fn problem(&self) -> Problem {
        match *self {}
    }
}

/// The refusal of an operation on one thing that is not there, or not the caller's: 404.
#[derive(Debug, Clone, Copy, EnumIter)]
pub enum Missing {
    /// There is no such thing for this caller.
    NotFound,
}

impl Refusal for Missing {
    fn problem(&self) -> Problem {
        match self {
            Self::NotFound => Problem::new(&kinds::NOT_FOUND),
        }
    }
}

/// Why an operation has no answer.
#[derive(Debug)]
pub enum OperationError<R = NoRefusal> {
    /// The input breaks rules; all that do are named.
    Invalid(Violations),
    /// The operation's own rules say no.
    Refused(R),
    /// Something is away or broken.
    Failed(Failure),
}

impl<R> From<Violations> for OperationError<R> {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl<R, E: Into<Failure>> From<E> for OperationError<R> {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<R: Refusal> From<OperationError<R>> for Problem {
    fn from(error: OperationError<R>) -> Self {
        match error {
            OperationError::Invalid(violations) => violations.into(),
            OperationError::Refused(refusal) => refusal.problem(),
            OperationError::Failed(failure) => failure.into(),
        }
    }
}

impl<R: Refusal> From<OperationError<R>> for actix_web::Error {
    fn from(error: OperationError<R>) -> Self {
        Problem::from(error).into()
    }
}

impl<A: Describe, R: Refusal> Describe for Result<A, OperationError<R>> {
    /// The answer, the operation's own refusals, and what may fail in any operation.
    fn describe(operation: &mut OperationDoc) {
        A::describe(operation);
        for kind in R::kinds() {
            operation.problem(kind);
        }
        operation.problem(&kinds::UNAVAILABLE);
        operation.problem(&kinds::OVERLOADED);
        operation.problem(&kinds::INTERNAL);
    }
}
