//! `POST /v1/sessions`: somebody logs in.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, USER_AGENT},
    web::Data,
};
use common::{
    Timestamp,
    database::within_deadline,
    http::{
        JsonBody, Problem, ProblemDocument,
        bearer::{Claims, ISSUER},
    },
};
use jsonwebtoken::{Algorithm, Header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::keys::{Ring, no_keys};
use crate::{
    accounts::{Email, role_names},
    http::{Failure, kinds},
    passwords::PasswordsError,
    startup::Api,
    storage::{sessions, users},
};

/// How long an access token is good for.
const TOKEN_LIFE: Duration = Duration::from_mins(10);
/// Most characters that are kept of what a client calls itself.
const DEVICE_MOST: usize = 200;

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateSessionError {
    #[error("the address or the password is wrong")]
    BadCredentials,
    #[error("there is no key to sign with yet")]
    NoKeys,
    #[error(transparent)]
    Password(#[from] PasswordsError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<CreateSessionError> for Problem {
    fn from(error: CreateSessionError) -> Self {
        match error {
            CreateSessionError::BadCredentials => Self::new(&kinds::BAD_CREDENTIALS),
            CreateSessionError::NoKeys => no_keys(),
            CreateSessionError::Password(error) => error.into(),
            CreateSessionError::Failed(failure) => failure.into(),
        }
    }
}

/// What a person logs in with.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateSessionRequest {
    #[schema(format = Email)]
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// What proves the log-in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// A JWT, signed with EdDSA.
    access_token: String,
    /// `Bearer`
    token_type: &'static str,
    /// Seconds that the access token is good for.
    expires_in: u64,
    session_id: Uuid,
}

/// Where a log-in comes from.
struct Client {
    device: Option<String>,
    address: Option<String>,
}

impl Client {
    fn of(request: &HttpRequest) -> Self {
        let device = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self {
            device: device.map(|device| device.chars().take(DEVICE_MOST).collect()),
            address: request.peer_addr().map(|address| address.ip().to_string()),
        }
    }
}

/// Log in.
#[utoipa::path(
    post,
    path = "/v1/sessions",
    tag = "sessions",
    request_body = CreateSessionRequest,
    responses(
        (status = 201, description = "Logged in", body = Tokens),
        (status = 400, description = "`malformed-json`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 401, description = "`bad-credentials`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 422, description = "`validation`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: try again after `Retry-After`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    api: Data<Api>,
    body: JsonBody<CreateSessionRequest>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let tokens = log_in(&api, body.0, Client::of(&request), Timestamp::now()).await?;
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(tokens))
}

async fn log_in(
    api: &Api,
    request: CreateSessionRequest,
    client: Client,
    now: Timestamp,
) -> Result<Tokens, CreateSessionError> {
    let ring = api.keys.ring().ok_or(CreateSessionError::NoKeys)?;
    let account = within_deadline(find_account(api, &request.email)).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    // Without an account a hash is checked all the same: both take as long.
    let fits = api.passwords.verify(request.password, hash).await?;
    let account = account.filter(|_| fits).ok_or(CreateSessionError::BadCredentials)?;
    let session = sessions::Model {
        id: Uuid::now_v7(),
        user_id: account.user_id,
        device: client.device,
        address: client.address,
        created_at: now,
        last_seen_at: now,
        revoked_at: None,
    };
    let tokens = sign(ring, &account, session.id, now)?;
    within_deadline(sessions::insert(api.database.write(), session))
        .await
        .map_err(Failure::from)?;
    Ok(tokens)
}

/// Looks the account up; an address that can't be one has none.
async fn find_account(api: &Api, email: &str) -> Result<Option<users::Credentials>, Failure> {
    match Email::parse(email) {
        Ok(email) => Ok(users::find_credentials(api.database.read(), &email.key()).await?),
        Err(_) => Ok(None),
    }
}

fn sign(ring: &Ring, account: &users::Credentials, session_id: Uuid, now: Timestamp) -> Result<Tokens, Failure> {
    let header = Header {
        kid: Some(ring.key_id.clone()),
        ..Header::new(Algorithm::EdDSA)
    };
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: ISSUER.to_owned(),
        sub: account.user_id,
        sid: session_id,
        roles: role_names(&account.roles),
        iat: now.as_seconds(),
        exp: (now + TOKEN_LIFE).as_seconds(),
    };
    let access_token =
        jsonwebtoken::encode(&header, &claims, &ring.signing).map_err(|error| Failure::Defect(error.into()))?;
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: TOKEN_LIFE.as_secs(),
        session_id,
    })
}
