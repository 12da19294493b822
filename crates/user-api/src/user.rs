//! A person's account as the API shows it and as events tell of it, and its key in the cache.

use actix_web::http::header::EntityTag;
use common::{
    Timestamp,
    store::{CacheKey, cache::Loaded},
};
use contracts::events::Person;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::tables::users;

/// An account. Its JSON has its whole shape from the start.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    #[schema(format = Email)]
    email: String,
    name: String,
    /// BCP 47 tag.
    #[schema(example = "en")]
    locale: String,
    /// E.164 number.
    #[schema(example = "+4915112345678")]
    phone: Option<String>,
    /// IANA time zone.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// `active`, `suspended` or `deleting`.
    status: String,
    email_verified: bool,
    roles: Vec<String>,
    /// Counts the changes; the `ETag`.
    pub(crate) version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<users::Model> for User {
    fn from(row: users::Model) -> Self {
        Self {
            id: row.id,
            email: row.email,
            name: row.name,
            locale: row.locale,
            phone: row.phone,
            time_zone: row.time_zone,
            status: row.status,
            email_verified: row.email_verified,
            roles: role_names(&row.roles),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl User {
    /// The account with its version, in the form in which a load hands it to the cache.
    pub(crate) fn into_loaded(self) -> Loaded<Self> {
        Loaded {
            version: cache_version(self.version),
            value: self,
        }
    }
}

/// What an event says of the person in this row.
pub(crate) fn person(row: &users::Model) -> Person {
    Person {
        user_id: row.id,
        version: row.version,
        email: row.email.clone(),
        name: row.name.clone(),
        locale: row.locale.clone(),
        phone: row.phone.clone(),
        time_zone: row.time_zone.clone(),
        status: row.status.clone(),
    }
}

/// The names in the column `roles`.
pub(crate) fn role_names(roles: &Json) -> Vec<String> {
    let names = roles.as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The version of a row as the cache compares it. Versions begin at 1 and only rise.
pub(crate) fn cache_version(version: i64) -> u64 {
    u64::try_from(version).unwrap_or(0)
}

/// The entity tag of an account's version.
///
/// It holds the account's id as well: under `/v1/users/me` a client's cache may hold the account of somebody else.
pub(crate) fn etag(id: Uuid, version: u64) -> EntityTag {
    let (mut of_id, mut of_version) = (Uuid::encode_buffer(), itoa::Buffer::new());
    let tag = [id.simple().encode_lower(&mut of_id), "-", of_version.format(version)];
    EntityTag::new_strong(tag.concat())
}

/// The key of a user in the cache: `user:{id}`.
pub(crate) struct UserKey(pub(crate) Uuid);

impl CacheKey for UserKey {
    type Value = User;
    const FORMAT: u8 = 2;
    const MAY_BE_STALE: bool = true;

    fn store_key(&self) -> String {
        let mut id = Uuid::encode_buffer();
        ["user:", self.0.hyphenated().encode_lower(&mut id)].concat()
    }
}
