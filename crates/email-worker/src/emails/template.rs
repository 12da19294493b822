//! The mails there are, and their texts.

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use contracts::Language;

/// The mails that this service can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Template {
    /// To somebody who has just signed up.
    Welcome,
}

impl Template {
    /// As events name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
        }
    }

    /// As a type of `waypost_critical_time_seconds`.
    pub(crate) const fn effect(self) -> &'static str {
        match self {
            Self::Welcome => "mail.welcome",
        }
    }

    /// The names of its subject, text and HTML in the environment.
    pub(super) const fn parts(self, language: Language) -> [&'static str; 3] {
        match (self, language) {
            (Self::Welcome, Language::En) => ["welcome/en.subject", "welcome/en.txt", "welcome/en.html"],
            (Self::Welcome, Language::Zh) => ["welcome/zh.subject", "welcome/zh.txt", "welcome/zh.html"],
        }
    }
}

macro_rules! sources {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/", $name)))),+]
    };
}

/// All templates. Only `.html` escapes; a variable that is missing is an error, never a gap in a mail.
pub(super) fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in sources![
        "welcome/en.subject",
        "welcome/en.txt",
        "welcome/en.html",
        "welcome/zh.subject",
        "welcome/zh.txt",
        "welcome/zh.html",
    ] {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}
