//! What is to come of each certificate, over whichever protocol.

use std::path::Path;
use std::time::Duration;

use common::process::{Finding, State};
use test_support::Shown;

/// Longest that anything here may take, on a machine that builds beside.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// The certificates that are not to be taken, and what the cure must speak of.
pub(super) const REFUSED: [(Shown, &str); 3] = [
    (Shown::Expired, "has expired"),
    (Shown::OtherName, "another name"),
    (Shown::UnknownIssuer, "`ca_file`"),
];

/// Whether it is down, and why is told so that a person can do something.
pub(super) fn is_refused(finding: &Finding, words: &str) -> bool {
    finding.state == State::Down && finding.cure.as_ref().is_some_and(|cure| cure.contains(words))
}

/// A path as a setting has it.
pub(super) fn setting(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
