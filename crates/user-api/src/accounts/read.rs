//! `GET /v1/users/{id}` and `GET /v1/users/me`: a person reads their own account.

use actix_web::{http::header::HeaderName, web::Data};
use common::{
    Timestamp,
    http::{Answer, Caller, KnownVersions, Missing, Oneself, OperationError, Versioned},
    store::cache::{LoadError, Read, ReadError},
};
use uuid::Uuid;

use crate::{
    state::State,
    tables::users,
    user::{User, UserKey, etag},
};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Reads the account of an id.
pub(crate) async fn read(
    state: Data<State>,
    Oneself(caller): Oneself,
    known: KnownVersions,
) -> Result<Answer<Versioned<User>>, OperationError<Missing>> {
    let found = answer(&state, caller.user_id, &known).await?;
    found.ok_or(OperationError::Refused(Missing::NotFound))
}

/// Reads the caller's own account.
pub(crate) async fn read_me(
    state: Data<State>,
    caller: Caller,
    known: KnownVersions,
) -> Result<Answer<Versioned<User>>, OperationError<Missing>> {
    let found = answer(&state, caller.user_id, &known).await?;
    found.ok_or(OperationError::Refused(Missing::NotFound))
}

/// The account, unless the caller has this version; `None` when it is gone.
async fn answer(
    state: &Data<State>,
    id: Uuid,
    known: &KnownVersions,
) -> Result<Option<Answer<Versioned<User>>>, ReadError> {
    let read = find(state, id, Timestamp::now()).await?;
    read.show_in(&tracing::Span::current());
    let status = read.cache_status();
    let answer = read.found.map(|user| {
        let tag = etag(id, user.version);
        let answer = if known.contain(&tag) {
            Answer::not_modified(&tag)
        } else {
            Answer::version(&tag, user.bytes)
        };
        answer.header(CACHE_STATUS, status.into_owned())
    });
    Ok(answer)
}

/// Reads through the cache.
async fn find(state: &Data<State>, id: Uuid, now: Timestamp) -> Result<Read, ReadError> {
    let of_load = Data::clone(state);
    let load = move || async move {
        let row = users::find(of_load.database.read(), id)
            .await
            .map_err(LoadError::from)?;
        Ok(row.map(|row| User::from(row).into_loaded()))
    };
    state.users.read(&UserKey(id), now, load).await
}
