//! Every route of the API: path, method, class of limit, operation.

use common::http::{Class, Endpoint, RouteTable};

use crate::{accounts, sessions};

/// The table of this service.
pub(crate) fn routes() -> RouteTable {
    RouteTable::new(
        "Waypost user-api",
        "Accounts and sessions. Every error is a problem document (RFC 9457) whose `type` is a page that explains it.",
    )
    .room(
        "accounts",
        [
            Endpoint::at("/v1/users").post(Class::SignUp, "Sign up", accounts::register),
            // Before `{id}`, which would take it for an id.
            Endpoint::at("/v1/users/me").get(Class::Read, "Read one's own account", accounts::read_me),
            Endpoint::at("/v1/users/{id}")
                .get(Class::Read, "Read an account: one's own", accounts::read)
                .patch(Class::Write, "Change an account: one's own", accounts::update),
        ],
    )
    .room(
        "sessions",
        [
            Endpoint::at("/v1/sessions").post(Class::Login, "Log in", sessions::create),
            Endpoint::at("/.well-known/jwks.json").get(
                Class::Public,
                "The public keys that access tokens are verified with (RFC 7517)",
                sessions::jwks,
            ),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_call_what_and_what_it_counts_towards() {
        let table = [
            "POST /v1/users SignUp Anyone",
            "GET /v1/users/me Read Person",
            "GET /v1/users/{id} Read Person",
            "PATCH /v1/users/{id} Write Person",
            "POST /v1/sessions Login Anyone",
            "GET /.well-known/jwks.json Public Anyone",
        ];
        assert_eq!(routes().to_string().lines().collect::<Vec<_>>(), table);
    }
}
