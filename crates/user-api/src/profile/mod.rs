//! What a person says about themselves, a type each.
//!
//! `parse` is the only way in, so a value of one of these types holds its rule. The rule's form for the API's
//! description stands beside it. Each shows nothing in `Debug`: it is personal data.

mod email;
mod locale;
mod name;
mod password;
mod phone;
mod text;
mod time_zone;
mod unicode;

pub(crate) use self::{
    email::Email,
    locale::Locale,
    name::Name,
    password::{MOST as MOST_CHARACTERS, Password},
    phone::Phone,
    time_zone::TimeZone,
    unicode::{given, opaque},
};
