//! `POST /v1/sessions`: somebody logs in.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{CACHE_CONTROL, USER_AGENT},
    web::Data,
};
use common::{
    Timestamp,
    database::within_deadline,
    http::{
        Answer, Describe, Failure, Issued, JsonBody, OperationDoc, OperationError, Problem, Refusal, claims::Claims,
        source,
    },
    messaging::Change,
};
use jsonwebtoken::{Algorithm, Header};
use sea_orm::DbErr;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strum::EnumIter;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    passwords::Verdict,
    problems,
    profile::Email,
    signing_keys::Signer,
    state::State,
    tables::{sessions, users},
    user::role_names,
};

/// How long an access token is good for.
const TOKEN_LIFE: Duration = Duration::from_mins(10);
/// Most characters that are kept of what a client calls itself.
const DEVICE_MOST: usize = 200;

/// What a person logs in with.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.com", "password": "correct horse"}))]
pub(crate) struct CreateSessionRequest {
    #[schema(format = Email)]
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Where a log-in comes from: the client's own name, and its address.
pub(crate) struct Client {
    device: Option<String>,
    address: Option<String>,
}

impl FromRequest for Client {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let device = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        ready(Ok(Self {
            device: device.map(|device| device.chars().take(DEVICE_MOST).collect()),
            address: Some(source(request).to_string()),
        }))
    }
}

impl Describe for Client {
    fn describe(_: &mut OperationDoc) {}
}

/// Why nobody was logged in.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(crate) enum CreateSessionRefusal {
    BadCredentials,
}

impl Refusal for CreateSessionRefusal {
    fn problem(&self) -> Problem {
        match self {
            Self::BadCredentials => Problem::new(&problems::BAD_CREDENTIALS),
        }
    }
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

/// Logs a person in.
pub(crate) async fn create(
    state: Data<State>,
    body: JsonBody<CreateSessionRequest>,
    client: Client,
) -> Result<Answer<Issued<Tokens>>, OperationError<CreateSessionRefusal>> {
    let CreateSessionRequest { email, password } = body.0;
    let ring = state.keys.ring()?;
    let signer = ring.signer()?;
    let account = within_deadline(find_account(&state, &email)).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    // Without an account a hash is checked all the same: both take as long.
    let verdict = state.passwords.verify(password, hash).await?;
    let (Some(account), Verdict::Fits { renewed }) = (account.filter(|account| account.is_active), verdict) else {
        return Err(OperationError::Refused(CreateSessionRefusal::BadCredentials));
    };
    let now = Timestamp::now();
    let mut change = state.changes.begin().await?;
    if let Some(renewed) = renewed {
        users::renew_hash(change.tx(), &account, &renewed).await?;
    }
    let session_id = open_session(&mut change, account.user_id, client, now).await?;
    let tokens = sign(signer, &account, session_id, now)?;
    let answer = Answer::issued(&tokens).header(CACHE_CONTROL, "no-store");
    change.commit().await?;
    Ok(answer)
}

/// Looks the account up; an address that can't be one has none.
async fn find_account(state: &State, email: &str) -> Result<Option<users::Credentials>, DbErr> {
    match Email::known_key(email) {
        Some(key) => users::find_credentials(state.database.read(), &key).await,
        None => Ok(None),
    }
}

/// Opens a session of a person who has proved who they are.
async fn open_session(change: &mut Change, user_id: Uuid, client: Client, now: Timestamp) -> Result<Uuid, DbErr> {
    let session = sessions::Model {
        id: Uuid::now_v7(),
        user_id,
        device: client.device,
        address: client.address,
        created_at: now,
        last_seen_at: now,
        revoked_at: None,
    };
    let id = session.id;
    sessions::insert(change.tx(), session).await?;
    Ok(id)
}

fn sign(signer: &Signer, account: &users::Credentials, session_id: Uuid, now: Timestamp) -> Result<Tokens, Failure> {
    let header = Header {
        kid: Some(signer.key_id.clone()),
        ..Header::new(Algorithm::EdDSA)
    };
    let claims = Claims {
        sid: Some(session_id),
        roles: role_names(&account.roles),
        ..Claims::new(account.user_id, now, now + TOKEN_LIFE)
    };
    let access_token =
        jsonwebtoken::encode(&header, &claims, &signer.key).map_err(|error| Failure::Defect(error.into()))?;
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: TOKEN_LIFE.as_secs(),
        session_id,
    })
}
