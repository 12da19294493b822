//! The list, and who is on it.

use std::{collections::HashSet, sync::LazyLock};

const LIST: &str = include_str!("../list/most_common.txt");

static ALL: LazyLock<HashSet<&'static str>> = LazyLock::new(|| most_common().collect());

/// All of them, the most common one first.
pub fn most_common() -> impl Iterator<Item = &'static str> {
    LIST.lines()
}

/// Whether a password, as it is written, is one of them. They are in lower case.
pub fn is_common(password: &str) -> bool {
    ALL.contains(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ten_thousand_and_each_stands_once() {
        assert_eq!((most_common().count(), ALL.len()), (10_000, 10_000));
        assert!(most_common().all(|password| !password.trim().is_empty()));
    }

    #[test]
    fn one_of_them_is_known_as_it_is_written() {
        assert!(is_common("password1") && is_common("12345678"));
        assert!(!is_common("Password1") && !is_common("correct horse battery") && !is_common(""));
    }
}
