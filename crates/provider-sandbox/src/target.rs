//! Whom a request, a fault or a filter is for: a provider, or one account at the SMS provider.

use std::str::FromStr;

use serde::Serialize;

/// The providers that the sandbox stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    Sms,
    Push,
    Chat,
    Hooks,
    Breached,
}

/// Characters that an account's name has at most.
const LONGEST_NAME: usize = 64;

/// An account at the SMS provider, by a name that a fault can have: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account(String);

impl Account {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let is_one = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_one);
        fits.then(|| Self(name.to_owned()))
    }
}

/// Whom a fault or a filter is for: `sms`, `sms.AC1`, `push`, ..
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A provider, with all its accounts.
    All(Provider),
    /// One account at the SMS provider.
    Account(Account),
}

impl FromStr for Target {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        if let Some(account) = name.strip_prefix("sms.") {
            return Account::parse(account).map(Self::Account).ok_or(());
        }
        let provider = match name {
            "sms" => Provider::Sms,
            "push" => Provider::Push,
            "chat" => Provider::Chat,
            "hooks" => Provider::Hooks,
            "breached" => Provider::Breached,
            _ => return Err(()),
        };
        Ok(Self::All(provider))
    }
}

/// Who was asked by one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) provider: Provider,
    account: Option<Account>,
}

impl From<Provider> for Asked {
    fn from(provider: Provider) -> Self {
        Self {
            provider,
            account: None,
        }
    }
}

impl Asked {
    /// The SMS provider, under an account. An account whose name can't stand in a fault has only the provider's faults.
    pub(crate) fn sms(account: &str) -> Self {
        Self {
            provider: Provider::Sms,
            account: Account::parse(account),
        }
    }

    /// The targets whose faults hold for this request, the account's first.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        let account = self.account.clone().map(Target::Account);
        account.into_iter().chain([Target::All(self.provider)])
    }

    pub(crate) fn fits(&self, target: &Target) -> bool {
        match target {
            Target::All(provider) => self.provider == *provider,
            Target::Account(account) => self.account.as_ref() == Some(account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_provider_or_an_account_whose_name_is_bounded() {
        assert_eq!("sms".parse(), Ok(Target::All(Provider::Sms)));
        assert_eq!("breached".parse(), Ok(Target::All(Provider::Breached)));
        let account = Account::parse("AC-1_b.c").map(Target::Account);
        assert_eq!("sms.AC-1_b.c".parse().ok(), account);
        let long = format!("sms.{}", "x".repeat(LONGEST_NAME + 1));
        for none in ["", "fax", "sms.", "sms.a b", "sms.ä", "push.AC1", &long] {
            assert_eq!(none.parse::<Target>(), Err(()), "{none}");
        }
    }
}
