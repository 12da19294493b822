//! What came of looking a new password up.

use strum::EnumIter;

/// What came of looking a new password up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
pub(super) enum Outcome {
    /// No breach is known that has it.
    Clean,
    /// A breach has it.
    Breached,
    /// It is one of the most common ones. Nobody was asked.
    Common,
    /// The service did not answer, and by its last answer no breach has it.
    StaleClean,
    /// The service did not answer, and by its last answer a breach has it.
    StaleBreached,
    /// The service did not answer, and had never answered.
    Unknown,
    /// Nobody looked.
    Off,
}

impl Outcome {
    /// By an answer of the service.
    pub(super) const fn fresh(is_breached: bool) -> Self {
        if is_breached { Self::Breached } else { Self::Clean }
    }

    /// By an older answer, since it gave none now.
    pub(super) const fn stale(is_breached: bool) -> Self {
        if is_breached {
            Self::StaleBreached
        } else {
            Self::StaleClean
        }
    }

    /// As it stands in metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Breached => "breached",
            Self::Common => "common",
            Self::StaleClean => "stale_clean",
            Self::StaleBreached => "stale_breached",
            Self::Unknown => "unknown",
            Self::Off => "off",
        }
    }

    /// Whether others know the password.
    pub(super) const fn is_breached(self) -> bool {
        matches!(self, Self::Breached | Self::Common | Self::StaleBreached)
    }
}
