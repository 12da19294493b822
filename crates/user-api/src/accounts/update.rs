//! `PATCH /v1/users/{id}`: a person changes what their account says of them (JSON Merge Patch, RFC 7396).

use actix_web::{http::header::CACHE_CONTROL, web::Data};
use common::{
    Timestamp,
    http::{
        Answer, Edit, ExpectedVersions, Failure, Member, MergePatch, Oneself, OperationError, OtherMembers, Problem,
        Refusal, Updated, Violations, kinds,
    },
    messaging::Change,
};
use contracts::{Event, events::UserUpdated};
use sea_orm::DbErr;
use serde::Deserialize;
use strum::EnumIter;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    profile::{Locale, Name, Phone, TimeZone},
    state::State,
    tables::users,
    user::{User, UserKey, cache_version, etag, person},
};

/// Members that are refused: what an account shows but this operation does not change, and the password.
const READ_ONLY: &[&str] = &[
    "id",
    "email",
    "password",
    "status",
    "email_verified",
    "roles",
    "version",
    "created_at",
    "updated_at",
];

/// What is to become of an account: what is left out stays, what is null or empty is removed.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UpdateRequest {
    #[serde(default)]
    #[schema(value_type = Name)]
    name: Member,
    /// BCP 47 tag; unknown ones, and null, become `en`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    locale: Member,
    #[serde(default)]
    #[schema(value_type = Option<Phone>)]
    phone: Member,
    #[serde(default)]
    #[schema(value_type = Option<TimeZone>)]
    time_zone: Member,
    #[serde(flatten)]
    #[schema(ignore)]
    others: OtherMembers,
}

/// Why an account was not changed.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(crate) enum UpdateRefusal {
    Gone,
    /// Another version stands there than the caller has seen.
    Overtaken,
}

impl Refusal for UpdateRefusal {
    fn problem(&self) -> Problem {
        match self {
            Self::Gone => Problem::new(&kinds::NOT_FOUND),
            Self::Overtaken => Problem::new(&kinds::PRECONDITION_FAILED),
        }
    }
}

/// Changes the caller's own account.
pub(crate) async fn update(
    state: Data<State>,
    Oneself(caller): Oneself,
    expected: ExpectedVersions,
    MergePatch(request): MergePatch<UpdateRequest>,
) -> Result<Answer<Updated<User>>, OperationError<UpdateRefusal>> {
    let edits = Edits::parse(&request)?;
    let (id, now) = (caller.user_id, Timestamp::now());
    let is_expected = |version| expected.contain(&etag(id, cache_version(version)));
    let mut change = state.changes.begin().await?;
    let outcome = match edit(&mut change, id, is_expected, (edits, now)).await {
        Ok(Outcome::Changed(row)) => {
            commit(&state, change, &row, now).await?;
            return Ok(answer(&row.into()));
        }
        other => other,
    };
    change.roll_back().await;
    match outcome? {
        Outcome::Changed(row) | Outcome::Same(row) => Ok(answer(&row.into())),
        Outcome::Overtaken(row) => {
            // Who reads again because of this must see the version that stands there, and not one that is cached.
            let version = cache_version(row.version);
            state.users.put(&UserKey(id), version, &row.into(), now).await;
            Err(OperationError::Refused(UpdateRefusal::Overtaken))
        }
        Outcome::Gone => Err(OperationError::Refused(UpdateRefusal::Gone)),
    }
}

fn answer(user: &User) -> Answer<Updated<User>> {
    let tag = etag(user.id, cache_version(user.version));
    Answer::updated(&tag, user).header(CACHE_CONTROL, "private, no-cache")
}

/// Commits a new version of an account; every later read answers with it.
async fn commit(state: &Data<State>, mut change: Change, row: &users::Model, now: Timestamp) -> Result<(), DbErr> {
    let (id, version, user) = (row.id, cache_version(row.version), User::from(row.clone()));
    let (users, database) = (state.users.clone(), state.database.clone());
    change.then(async move { users.put(&UserKey(id), version, &user, now).await });
    // If the outcome stays unknown, or the caller goes away before it is known, the cache forgets the version before.
    let doubt = state.users.doubt(&UserKey(id), version);
    // Told that it failed, the person would send it again and hear that somebody else was faster. The whole row is
    // compared: another change may have made a version of the same number.
    change
        .commit_or_find(async { Ok(users::find(database.read(), id).await?.as_ref() == Some(row)) })
        .await?;
    doubt.is_over();
    Ok(())
}

/// What a person changes, once it keeps every rule.
struct Edits {
    name: Option<Name>,
    locale: Edit<Locale>,
    phone: Edit<Phone>,
    time_zone: Edit<TimeZone>,
}

impl Edits {
    /// Checks all members, and names all that break a rule.
    fn parse(request: &UpdateRequest) -> Result<Self, Violations> {
        let mut broken = Violations::default();
        let locale = |text: &str| Ok(Locale::parse(Some(text)));
        let edits = Self {
            name: request.name.set("/name", Name::parse, &mut broken),
            locale: request.locale.edit("/locale", locale, &mut broken),
            phone: request.phone.edit("/phone", Phone::parse, &mut broken),
            time_zone: request.time_zone.edit("/time_zone", TimeZone::parse, &mut broken),
        };
        request.others.refuse(READ_ONLY, &mut broken);
        broken.unless_broken(edits)
    }

    /// The row as it is to be, still in its old version.
    fn applied_to(self, row: users::Model) -> users::Model {
        let locale = self.locale.of(Some(row.locale), |locale| locale.as_str().to_owned());
        users::Model {
            name: self.name.map_or(row.name, |name| name.as_str().to_owned()),
            locale: locale.unwrap_or_else(|| Locale::parse(None).as_str().to_owned()),
            phone: self.phone.of(row.phone, |phone| phone.as_str().to_owned()),
            time_zone: self.time_zone.of(row.time_zone, |zone| zone.as_str().to_owned()),
            ..row
        }
    }
}

/// What became of a change of an account.
enum Outcome {
    Changed(users::Model),
    /// All of it was so before.
    Same(users::Model),
    /// This version stands there, and not one that was expected.
    Overtaken(users::Model),
    Gone,
}

/// Writes the account in its next version, and tells the event. Of two changes at once, the second sees the first one's row.
async fn edit(
    change: &mut Change,
    id: Uuid,
    is_expected: impl Fn(i64) -> bool,
    (edits, now): (Edits, Timestamp),
) -> Result<Outcome, Failure> {
    let Some(current) = users::find_locked(change.tx(), id).await? else {
        return Ok(Outcome::Gone);
    };
    if !is_expected(current.version) {
        return Ok(Outcome::Overtaken(current));
    }
    let wanted = edits.applied_to(current.clone());
    if wanted == current {
        return Ok(Outcome::Same(current));
    }
    let row = users::Model {
        version: current.version + 1,
        updated_at: now,
        ..wanted
    };
    users::update(change.tx(), &row).await?;
    let updated = UserUpdated { person: person(&row) };
    change.tell(&Event::new(id, now.to_offset(), updated))?;
    Ok(Outcome::Changed(row))
}
