//! Why settings are refused: what a person reads who has to mend them.
//!
//! The layers and the settings both refuse, so this stands below both.

use super::WeakPart;

/// Why the settings were refused. Names the key and where its value came from, never the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nobody reads this key: most likely a typing error.
    #[error("unknown setting `{key}` (from {origin}){hint}; the known ones are in docs/configuration.md")]
    Unknown {
        /// The key, as `section.key`.
        key: String,
        /// The file or the environment.
        origin: String,
        /// The known key that is nearest, as a half sentence.
        hint: String,
    },
    /// A value of the wrong form.
    #[error("bad setting: {0}")]
    Value(#[source] config::ConfigError),
    /// A value that breaks a rule.
    #[error("bad setting `{key}`: {problem}")]
    Rule {
        /// The key, as `section.key`.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Production with parts of development.
    #[error(
        "production would run with parts of development:{lines}\nSet them, or allow them for a staging: process.allow_development_parts",
        lines = lines(.0)
    )]
    DevelopmentParts(Vec<WeakPart>),
    /// A variable of ours whose value is no text.
    #[error("the value of {key} is no UTF-8")]
    NotText {
        /// The variable, as far as it can be shown.
        key: String,
    },
    /// Both a value and a file with one are given.
    #[error("both {key} and {key}_FILE are set; leave one of them out")]
    Twice {
        /// The variable without `_FILE`.
        key: String,
    },
    /// A file that `.._FILE` names can't be read.
    #[error("the file that {key} names can't be read")]
    SecretFile {
        /// The variable.
        key: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A line for each.
fn lines(parts: &[WeakPart]) -> String {
    let line = |part: &WeakPart| ["\n  ".to_owned(), part.to_string()];
    parts.iter().flat_map(line).collect()
}
