//! `GET /v1/users/{id}` and `GET /v1/users/me`: a person reads their own account.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETAG, EntityTag, Header, HeaderName, IfNoneMatch},
    web::Data,
};
use common::{
    Timestamp,
    database::is_transient_within,
    http::{PathId, Problem, ProblemDocument, kinds as shared_kinds},
    store::cache::{LoadError, Read, ReadError},
};
use uuid::Uuid;

use super::user::{User, UserKey, etag};
use crate::{http::Failure, sessions::Caller, startup::Api, storage::users};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Failed(cause) if !is_transient_within(&**cause) => Self::Defect(error.into()),
            ReadError::Failed(_) | ReadError::TimedOut => Self::Unavailable(error.into()),
        }
    }
}

/// Read an account: one's own.
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    tag = "accounts",
    params(("id" = Uuid, Path, description = "The account")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account", body = User, headers(
            ("ETag" = String, description = "Version of the account"),
            ("Cache-Status" = String, description = "Who answered (RFC 9211)"),
        )),
        (status = 304, description = "The version in `If-None-Match` is the newest"),
        (status = 401, description = "`unauthorized`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: any id but one's own", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 404, description = "`not-found`: the account is gone", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: try again after `Retry-After`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    api: Data<Api>,
    caller: Caller,
    id: PathId,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    // The same answer for every other id, so that it says nothing about who exists.
    if id.0 != caller.user_id {
        return Err(Problem::new(&shared_kinds::FORBIDDEN));
    }
    answer(&api, id.0, &request).await
}

/// Read one's own account.
#[utoipa::path(
    get,
    path = "/v1/users/me",
    tag = "accounts",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The account of the token's owner", body = User),
        (status = 304, description = "The version in `If-None-Match` is the newest"),
        (status = 401, description = "`unauthorized`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 404, description = "`not-found`: the account is gone", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: try again after `Retry-After`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read_me(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    answer(&api, caller.user_id, &request).await
}

async fn answer(api: &Api, id: Uuid, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let read = find(api, id, Timestamp::now()).await.map_err(Failure::from)?;
    let status = read.cache_status();
    let Some(user) = read.found else {
        return Err(Problem::new(&shared_kinds::NOT_FOUND));
    };
    let tag = etag(id, user.version);
    let is_known = has(request, &tag);
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((ETAG, tag.to_string()))
        .insert_header((CACHE_STATUS, status.as_ref()))
        .insert_header((CACHE_CONTROL, "private, no-cache"));
    if is_known {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(user.bytes))
}

/// Reads through the cache.
async fn find(api: &Api, id: Uuid, now: Timestamp) -> Result<Read, ReadError> {
    let database = api.database.clone();
    let load = move || async move {
        let row = users::find(database.read(), id).await.map_err(LoadError::from)?;
        Ok(row.map(|row| User::from(row).into_loaded()))
    };
    api.users.read(&UserKey(id), now, load).await
}

/// Whether `If-None-Match` names this version.
fn has(request: &HttpRequest, current: &EntityTag) -> bool {
    if !request.headers().contains_key(IfNoneMatch::name()) {
        return false;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(current)),
        Err(_) => false,
    }
}
