//! Where a delivery stands, why, and what may follow.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::Serialize;
use utoipa::ToSchema;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryStatus)]
pub enum Status {
    /// Waits for its time.
    Pending,
    /// Somebody holds its lease.
    Sending,
    /// The other side took responsibility.
    Accepted,
    /// It is known to have arrived.
    Delivered,
    /// It will not arrive.
    Failed,
    /// It must not be sent.
    Suppressed,
    /// Its time was over.
    Expired,
    /// An operator took it back while it waited: after tries it may have arrived.
    Cancelled,
}

impl Status {
    /// The transition table: the states that may follow this one.
    pub const fn next(self) -> &'static [Self] {
        use Status::{Accepted, Cancelled, Delivered, Expired, Failed, Pending, Sending, Suppressed};
        match self {
            Pending => &[Sending, Suppressed, Expired, Cancelled],
            Sending => &[Pending, Accepted, Delivered, Failed, Suppressed, Expired],
            Accepted => &[Delivered, Failed],
            Delivered | Failed | Suppressed | Expired | Cancelled => &[],
        }
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// The text that is stored for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a delivery stands where it stands: the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryReason)]
pub enum Reason {
    /// The other side took responsibility.
    Accepted,
    /// It arrived.
    Delivered,
    /// The address is on a suppression list.
    Suppressed,
    /// The person does not want it.
    Preference,
    /// The person sleeps.
    QuietHours,
    /// There is no address to send it to.
    NoAddress,
    /// Its time was over before it could be sent.
    Expired,
    /// An operator took it back.
    Cancelled,
    /// The other side refused it for good.
    Rejected,
    /// Every try failed until the time to give up.
    Exhausted,
    /// The other side may have it, no answer came, and it must not be sent twice.
    Unknown,
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum, Iterable};

    use super::*;

    #[test]
    fn what_is_stored_is_what_the_sql_says() {
        for status in Status::iter() {
            assert_eq!(status.to_value(), status.as_str());
        }
    }

    #[test]
    fn final_states_are_final_and_nothing_returns_from_accepted() {
        for last in [
            Status::Delivered,
            Status::Failed,
            Status::Suppressed,
            Status::Expired,
            Status::Cancelled,
        ] {
            assert!(Status::iter().all(|next| !last.may_become(next)));
        }
        assert!(!Status::Accepted.may_become(Status::Pending));
        assert!(
            !Status::Pending.may_become(Status::Accepted),
            "only who holds a lease may say so"
        );
        assert!(
            !Status::Sending.may_become(Status::Cancelled),
            "the other side may have it"
        );
    }
}
