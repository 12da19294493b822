//! `POST /v1/users`: somebody signs up.

use actix_web::{http::header::CACHE_CONTROL, web::Data};
use common::{
    Timestamp,
    http::{Answer, Created, Failure, JsonBody, OperationError, Place, Problem, Refusal, Violations},
};
use contracts::{Event, events::UserRegistered};
use secrecy::SecretString;
use serde::Deserialize;
use strum::EnumIter;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    problems,
    profile::{Email, Locale, Name, Password, Phone, TimeZone, given},
    state::State,
    tables::users,
    user::{User, UserKey, cache_version, etag, person},
};

/// What a person signs up with.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RegisterRequest {
    #[schema(value_type = Email)]
    email: String,
    #[schema(value_type = Name)]
    name: String,
    #[schema(value_type = Password)]
    password: SecretString,
    /// BCP 47 tag; unknown ones become `en`.
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<Phone>)]
    phone: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Option<String>,
}

/// Why nobody was signed up.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(crate) enum RegisterRefusal {
    EmailTaken,
}

impl Refusal for RegisterRefusal {
    fn problem(&self) -> Problem {
        match self {
            Self::EmailTaken => {
                Problem::new(&problems::EMAIL_TAKEN).error("/email", "taken", "An account with this address exists.")
            }
        }
    }
}

type RegisterError = OperationError<RegisterRefusal>;

/// Signs a person up.
pub(crate) async fn register(
    state: Data<State>,
    place: Place,
    body: JsonBody<RegisterRequest>,
) -> Result<Answer<Created<User>>, RegisterError> {
    let registration = Registration::parse(&body.0)?;
    let checked = state.breached.check(&registration.password, &place).await;
    checked.map_err(|violation| Violations::one("/password", violation))?;
    let password_hash = state
        .passwords
        .hash(registration.password.clone().into_secret())
        .await?;
    let now = Timestamp::now();
    let row = registration.into_row(password_hash, now);
    let mut creation = state.changes.creation(users::insertion(row.clone()));
    let registered = UserRegistered { person: person(&row) };
    creation.tell(&Event::new(row.id, now.to_offset(), registered))?;
    let user = User::from(row);
    let (id, version, database) = (user.id, cache_version(user.version), state.database.clone());
    let answer = Answer::created(&format!("/v1/users/{id}"), &user)
        .etag(&etag(id, version))
        .header(CACHE_CONTROL, "private, no-cache");
    creation.then(async move { state.users.put(&UserKey(id), version, &user, now).await });
    // Told that it failed, the person would sign up again and hear that the address is taken.
    let is_there = async || Ok(users::find(database.read(), id).await?.is_some());
    match creation.commit_or_find(is_there).await {
        Ok(()) => Ok(answer),
        Err(error) if users::is_email_taken(&error) => Err(OperationError::Refused(RegisterRefusal::EmailTaken)),
        Err(error) => Err(Failure::from(error).into()),
    }
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
    fn parse(request: &RegisterRequest) -> Result<Self, Violations> {
        let mut broken = Violations::default();
        let email = broken.note("/email", Email::parse(&request.email));
        let name = broken.note("/name", Name::parse(&request.name));
        let password = broken.note("/password", Password::parse(&request.password));
        let phone = broken.note_optional("/phone", given(request.phone.as_deref()).map(Phone::parse));
        let time_zone = given(request.time_zone.as_deref()).map(TimeZone::parse);
        let time_zone = broken.note_optional("/time_zone", time_zone);
        match (email, name, password, phone, time_zone) {
            (Some(email), Some(name), Some(password), Some(phone), Some(time_zone)) => Ok(Self {
                email,
                name,
                password,
                locale: Locale::parse(request.locale.as_deref()),
                phone,
                time_zone,
            }),
            _ => Err(broken),
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
            status: users::ACTIVE.to_owned(),
            email_verified: false,
            roles: serde_json::Value::Array(Vec::new()),
            password_hash,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}
