//! Settings that are lists: a text with commas between.

use serde::{Deserialize, Deserializer, de};

/// The parts of such a text, without blanks around them; a blank part is left out.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Reads a text by `parse`, whose error says what is wrong with it.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}
