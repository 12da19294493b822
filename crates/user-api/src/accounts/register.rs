//! `POST /v1/users`: somebody signs up.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, ETAG, LOCATION},
    web::Data,
};
use common::{
    Timestamp,
    database::within_deadline,
    http::{FieldError, JsonBody, Problem, ProblemDocument, kinds as shared_kinds},
    messaging::OutboxError,
};
use contracts::{Event, events::UserRegistered};
use sea_orm::DbErr;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    profile::{Email, Locale, Name, Password, Phone, TimeZone, Violation},
    user::{User, UserKey, cache_version, etag},
};
use crate::{
    http::{Failure, kinds},
    passwords::PasswordsError,
    startup::Api,
    storage::users::{self, InsertError},
};

/// Why nobody was signed up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the address belongs to another account")]
    EmailTaken,
    #[error(transparent)]
    Password(#[from] PasswordsError),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<DbErr> for RegisterError {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl From<InsertError> for RegisterError {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::EmailTaken => Self::EmailTaken,
            InsertError::Database(error) => error.into(),
        }
    }
}

impl From<OutboxError> for RegisterError {
    fn from(error: OutboxError) -> Self {
        Self::Failed(match error {
            OutboxError::Database(error) => error.into(),
            other => Failure::Defect(other.into()),
        })
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => {
                Self::new(&kinds::EMAIL_TAKEN).error("/email", "taken", "An account with this address exists.")
            }
            RegisterError::Password(error) => error.into(),
            RegisterError::Failed(failure) => failure.into(),
        }
    }
}

/// What a person signs up with.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RegisterRequest {
    #[schema(format = Email, max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: SecretString,
    /// BCP 47 tag; unknown ones become `en`.
    #[serde(default)]
    locale: Option<String>,
    /// E.164 number.
    #[serde(default)]
    phone: Option<String>,
    /// IANA time zone.
    #[serde(default)]
    time_zone: Option<String>,
}

/// A sign-up that keeps every rule.
struct Registration {
    email: Email,
    name: Name,
    password: Password,
    locale: Locale,
    phone: Option<Phone>,
    time_zone: Option<TimeZone>,
}

impl Registration {
    /// Checks all fields, and names all that break a rule.
    fn parse(request: &RegisterRequest) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let email = note(&mut errors, "/email", Email::parse(&request.email));
        let name = note(&mut errors, "/name", Name::parse(&request.name));
        let password = note(&mut errors, "/password", Password::parse(&request.password));
        let phone = request.phone.as_deref().map(Phone::parse).transpose();
        let phone = note(&mut errors, "/phone", phone);
        let time_zone = request.time_zone.as_deref().map(TimeZone::parse).transpose();
        let time_zone = note(&mut errors, "/time_zone", time_zone);
        match (email, name, password, phone, time_zone) {
            (Some(email), Some(name), Some(password), Some(phone), Some(time_zone)) => Ok(Self {
                email,
                name,
                password,
                locale: Locale::parse(request.locale.as_deref()),
                phone,
                time_zone,
            }),
            _ => Err(errors),
        }
    }

    /// The row of the new account.
    fn into_row(self, password_hash: String, now: Timestamp) -> users::Model {
        users::Model {
            id: Uuid::now_v7(),
            email_key: self.email.key(),
            email: self.email.as_str().to_owned(),
            name: self.name.as_str().to_owned(),
            locale: self.locale.as_str().to_owned(),
            phone: self.phone.map(|phone| phone.as_str().to_owned()),
            time_zone: self.time_zone.map(|zone| zone.as_str().to_owned()),
            status: "active".to_owned(),
            email_verified: false,
            roles: serde_json::Value::Array(Vec::new()),
            password_hash,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

fn note<T>(errors: &mut Vec<FieldError>, pointer: &str, parsed: Result<T, Violation>) -> Option<T> {
    parsed
        .map_err(|violation| {
            errors.push(FieldError {
                pointer: pointer.to_owned(),
                code: violation.code,
                detail: violation.detail.to_owned(),
            });
        })
        .ok()
}

/// Sign up.
#[utoipa::path(
    post,
    path = "/v1/users",
    tag = "accounts",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "Signed up", body = User, headers(
            ("Location" = String, description = "Address of the account"),
            ("ETag" = String, description = "Version of the account"),
        )),
        (status = 409, description = "`email-taken`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 422, description = "`validation`: all fields that break a rule are named", body = ProblemDocument<'_>, content_type = "application/problem+json"),
        (status = 503, description = "`unavailable`: try again after `Retry-After`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn register(api: Data<Api>, body: JsonBody<RegisterRequest>) -> Result<HttpResponse, Problem> {
    let registration =
        Registration::parse(&body.0).map_err(|errors| Problem::new(&shared_kinds::VALIDATION).errors(errors))?;
    let user = sign_up(&api, registration, Timestamp::now()).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/v1/users/{}", user.id)))
        .insert_header((ETAG, etag(user.id, cache_version(user.version)).to_string()))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .json(user))
}

async fn sign_up(api: &Api, registration: Registration, now: Timestamp) -> Result<User, RegisterError> {
    let password = registration.password.clone().into_secret();
    let password_hash = api.passwords.hash(password).await?;
    let row = registration.into_row(password_hash, now);
    within_deadline(write(api, row.clone(), now)).await?;
    api.outbox.wake();
    let user = User::from(row);
    let version = cache_version(user.version);
    api.users.put(&UserKey(user.id), version, &user, now).await;
    Ok(user)
}

/// The account and the event that tells of it, in one transaction.
async fn write(api: &Api, row: users::Model, now: Timestamp) -> Result<(), RegisterError> {
    let registered = UserRegistered {
        user_id: row.id,
        version: row.version,
        email: row.email.clone(),
        name: row.name.clone(),
        locale: row.locale.clone(),
        phone: row.phone.clone(),
        time_zone: row.time_zone.clone(),
        status: row.status.clone(),
    };
    let event = Event::new(row.id, now.to_offset(), registered);
    let tx = api.database.begin().await?;
    users::insert(&tx, row).await?;
    api.outbox.append(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}
