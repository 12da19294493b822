//! Who calls, as a handler asks for it: the type of an argument is the right that the operation wants.

use std::borrow::Cow;
use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Either, FutureExt, Map};
use serde::Deserialize;
use utoipa::PartialSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use uuid::Uuid;

use super::claims::{Claims, token_of};
use super::describe::{Access, Describe, OperationDoc};
use super::verifier::Verifier;
use super::{Kind, Problem, kinds};
use crate::Timestamp;

/// What an administrator's token has among its roles.
const ADMIN: &str = "admin";

type Outcome = Result<Arc<Claims>, Problem>;
type Verification = Either<Ready<Outcome>, Pin<Box<dyn Future<Output = Outcome>>>>;

/// A kind of caller, and what a token must say to speak for one.
trait Right: Sized {
    /// As the API's description has it.
    const ACCESS: Access;

    /// The caller that the claims speak of; otherwise the kind of problem that refuses it.
    fn of(claims: &Claims) -> Result<Self, &'static Kind>;
}

/// Makes a right an extractor that reads the token of the `Authorization` header, and describes it.
macro_rules! extract_by_header {
    ($right:ty $(, $scope:ident)?) => {
        impl$(<$scope: Scope>)? FromRequest for $right {
            type Error = Problem;
            type Future = Map<Verification, fn(Outcome) -> Result<Self, Problem>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let verified = match token_of(request) {
                    Ok(token) => verify(request, token),
                    Err(problem) => refused(problem),
                };
                verified.map(|verified| Self::of(&*verified?).map_err(refusal))
            }
        }

        impl$(<$scope: Scope>)? Describe for $right {
            fn describe(operation: &mut OperationDoc) {
                operation.access(Self::ACCESS);
            }
        }
    };
}

/// A person with a good token; 401 without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user_id: Uuid,
    /// The session that the token belongs to.
    pub session_id: Uuid,
    /// What the person may do beyond what is their own.
    pub roles: Vec<String>,
}

impl Right for Caller {
    const ACCESS: Access = Access::Person;

    /// A token without a session is another system's: it speaks for no person.
    fn of(claims: &Claims) -> Result<Self, &'static Kind> {
        Ok(Self {
            user_id: claims.sub,
            session_id: claims.sid.ok_or(&kinds::UNAUTHORIZED)?,
            roles: claims.roles.clone(),
        })
    }
}

extract_by_header!(Caller);

/// An administrator; any other person is 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin(pub Caller);

impl Right for Admin {
    const ACCESS: Access = Access::Admin;

    fn of(claims: &Claims) -> Result<Self, &'static Kind> {
        let caller = Caller::of(claims)?;
        let is_admin = caller.roles.iter().any(|role| role == ADMIN);
        is_admin.then_some(Self(caller)).ok_or(&kinds::FORBIDDEN)
    }
}

extract_by_header!(Admin);

/// What another system's token allows.
pub trait Scope: 'static {
    /// As it stands in the token's `scope`.
    const NAME: &'static str;
}

/// Another system, whose token has the scope `S`; 403 without that.
#[derive(Debug)]
pub struct Scoped<S> {
    /// The system, as its token names it.
    pub id: Uuid,
    scope: PhantomData<fn() -> S>,
}

impl<S: Scope> Right for Scoped<S> {
    const ACCESS: Access = Access::Service(S::NAME);

    fn of(claims: &Claims) -> Result<Self, &'static Kind> {
        let scopes = claims.scope.as_deref().unwrap_or_default();
        let is_allowed = scopes.split(' ').any(|scope| scope == S::NAME);
        is_allowed
            .then_some(Self {
                id: claims.sub,
                scope: PhantomData,
            })
            .ok_or(&kinds::FORBIDDEN)
    }
}

extract_by_header!(Scoped<S>, S);

/// The person who asks for a stream, and when their token ends.
///
/// A browser's `EventSource` can't set headers, so the token may stand in the query as `access_token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCaller {
    /// The person.
    pub user_id: Uuid,
    /// The end of the token, and so of the stream.
    pub ends: Timestamp,
}

impl StreamCaller {
    fn of(claims: &Claims) -> Result<Self, &'static Kind> {
        let ends = claims.ends();
        let Caller { user_id, .. } = Caller::of(claims)?;
        Ok(Self { user_id, ends })
    }
}

impl FromRequest for StreamCaller {
    type Error = Problem;
    type Future = Map<Verification, fn(Outcome) -> Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let verified = match any_token(request) {
            Some(token) => verify(request, &token),
            None => refused(Problem::new(&kinds::UNAUTHORIZED)),
        };
        verified.map(|verified| Self::of(&*verified?).map_err(refusal))
    }
}

impl Describe for StreamCaller {
    fn describe(operation: &mut OperationDoc) {
        operation.access(Access::Person);
        let token = ParameterBuilder::new()
            .name("access_token")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(
                "The token, for a browser's `EventSource`, which can't set a header",
            ))
            .schema(Some(String::schema()));
        operation.parameter(token);
    }
}

/// What the token of a request says, left with the request by the rate limit, which verifies it before the extractors.
pub(super) struct Verified(pub(super) Outcome);

/// The token of a request: that of the header, without one that of the query.
pub(super) fn any_token(request: &HttpRequest) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Query {
        access_token: String,
    }
    if let Ok(token) = token_of(request) {
        return Some(token.into());
    }
    if request.query_string().is_empty() {
        return None;
    }
    let query = web::Query::<Query>::from_query(request.query_string());
    query.ok().map(|query| query.into_inner().access_token.into())
}

/// The problem for a good token that is not of the right kind.
fn refusal(kind: &'static Kind) -> Problem {
    if kind == &kinds::UNAUTHORIZED {
        Problem::bad_token()
    } else {
        Problem::new(kind)
    }
}

fn refused(problem: Problem) -> Verification {
    Either::Left(ready(Err(problem)))
}

/// What is known of a token without any work, because it was verified before; `None` of any other.
pub(super) fn remembered(request: &HttpRequest, token: &str) -> Option<Outcome> {
    let verifier = request.app_data::<Data<Verifier>>()?;
    let known = verifier.remembered(token, Timestamp::now())?;
    Some(known.map_err(Problem::from))
}

/// What a token says, once it is verified: at once by the keys that are known, else after a look for newer ones.
pub(super) fn verify(request: &HttpRequest, token: &str) -> Verification {
    if let Some(Verified(outcome)) = request.extensions_mut().remove() {
        return Either::Left(ready(outcome));
    }
    let Some(verifier) = request.app_data::<Data<Verifier>>().cloned() else {
        return refused(Problem::new(&kinds::INTERNAL));
    };
    let now = Timestamp::now();
    match verifier.verify_now(token, now) {
        Err(error) if error.may_pass_with_newer_keys() => {
            let token = token.to_owned();
            Either::Right(Box::pin(async move { Ok(verifier.verify(&token, now).await?) }))
        }
        outcome => Either::Left(ready(outcome.map_err(Problem::from))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Send;

    impl Scope for Send {
        const NAME: &'static str = "notifications.send";
    }

    fn claims(sid: Option<Uuid>, roles: &[&str], scope: Option<&str>) -> Claims {
        Claims {
            sid,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            scope: scope.map(str::to_owned),
            ..Claims::new(Uuid::nil(), Timestamp::from_micros(0), Timestamp::from_micros(1))
        }
    }

    #[test]
    fn a_token_without_a_session_speaks_for_no_person() {
        let of_system = || claims(None, &["admin"], Some("notifications.send"));
        assert_eq!(Caller::of(&of_system()), Err(&kinds::UNAUTHORIZED));
        assert_eq!(Admin::of(&of_system()), Err(&kinds::UNAUTHORIZED));
        assert_eq!(StreamCaller::of(&of_system()), Err(&kinds::UNAUTHORIZED));
        assert!(Scoped::<Send>::of(&of_system()).is_ok());
    }

    #[test]
    fn a_right_is_had_by_its_role_or_scope_alone() {
        let session = Some(Uuid::nil());
        assert!(Admin::of(&claims(session, &["editor", "admin"], None)).is_ok());
        let other_role = claims(session, &["administrator"], None);
        assert_eq!(Admin::of(&other_role), Err(&kinds::FORBIDDEN));
        assert!(Scoped::<Send>::of(&claims(None, &[], Some("a notifications.send"))).is_ok());
        for scope in [None, Some(""), Some("notifications.send.all"), Some("notifications")] {
            let refused = Scoped::<Send>::of(&claims(session, &["admin"], scope)).unwrap_err();
            assert_eq!(refused, &kinds::FORBIDDEN);
        }
    }
}
