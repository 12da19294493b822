//! resilience-3: nobody can look passwords up, and people sign up all the same. Looks at a user-api that runs.

use crate::exercises::exercise::{Attempt, Verdict};
use crate::exercises::running::Measured;

const CHECKS: &str = "waypost_breached_password_checks_total";
const DESTINATION: (&str, &str) = ("destination", "breached_passwords");

pub(crate) async fn check(attempt: Attempt) -> Verdict {
    let measured = Measured::at(&attempt.at).await?;
    let unchecked = measured.sum(CHECKS, &[("outcome", "unknown")]);
    let opened = measured.sum("waypost_breaker_transitions_total", &[DESTINATION, ("to", "open")]);
    let refused = measured.sum(
        "waypost_outbound_decisions_total",
        &[DESTINATION, ("layer", "breaker"), ("decision", "refused")],
    );
    let sign_ups = |status| {
        let labels = [("http_route", "/v1/users"), ("http_response_status_code", status)];
        measured.sum("http_server_request_duration_seconds_count", &labels)
    };
    if unchecked < 1.0 {
        let checked = measured.sum(CHECKS, &[("outcome", "clean")]);
        return Err(format!(
            "{checked} new passwords were looked up, and each look had its answer: have the sandbox's `breached` fail, and \
             sign people up with passwords that nobody has used before."
        ));
    }
    if opened < 1.0 || refused < 1.0 {
        return Err(format!(
            "{unchecked} passwords were taken unchecked, and each sign-up still waits for the service: the breaker has not \
             opened and spared anybody yet. Sign up more people while it fails."
        ));
    }
    let failed = sign_ups("503") + sign_ups("500");
    if failed > 0.0 {
        return Err(format!(
            "{failed} sign-ups failed: the service of breached passwords alone is to be away."
        ));
    }
    Ok(format!(
        "{} people signed up and none was turned away; {unchecked} passwords were taken unchecked, and the breaker spared \
         {refused} calls.",
        sign_ups("201")
    ))
}
