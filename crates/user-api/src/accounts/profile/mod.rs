//! What a person says about themselves, a type each.
//!
//! `parse` is the only way in, so a value of one of these types holds its rule. Each shows nothing in
//! `Debug`: it is personal data.

mod email;
mod locale;
mod name;
mod password;
mod phone;
mod time_zone;

pub(crate) use self::{
    email::Email, locale::Locale, name::Name, password::Password, phone::Phone, time_zone::TimeZone,
};

/// The rule that a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Stable, for programs.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: &'static str,
}

/// Gives a type over a text its `as_str` and a `Debug` that shows nothing of it.
macro_rules! personal_text {
    ($type:ident) => {
        impl $type {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    };
}
use personal_text;
