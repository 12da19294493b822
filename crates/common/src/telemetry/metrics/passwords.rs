//! What came of looking new passwords up.

use super::Metrics;
use super::labels::PasswordCheckLabels;

impl Metrics {
    /// Has the counter of one outcome stand from the beginning, so that its first rise is seen.
    pub fn password_checks(&self, outcome: &'static str) {
        let labels = PasswordCheckLabels { outcome };
        drop(self.0.series.password_checks.get_or_create(&labels));
    }

    /// Counts one new password by what came of looking it up (`waypost_breached_password_checks_total`).
    pub fn password_check(&self, outcome: &'static str) {
        let labels = PasswordCheckLabels { outcome };
        self.0.series.password_checks.get_or_create(&labels).inc();
    }
}
