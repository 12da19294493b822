//! Who does something to a service, as they say it themselves.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::PartialSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

use super::reason::is_one_line;
use crate::http::{Describe, OperationDoc, Problem, kinds};

/// The header by which somebody says who they are.
const HEADER: &str = "X-Operator";
/// Most characters of a name.
const MOST: usize = 100;

/// Who does something: what `X-Operator` says, else `operator@` and the peer's address.
///
/// All who run the services have one token, so this is their word: it stands in the audit and gives no right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// As the audit keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The actor with this name, without the blanks around it. `None` when the name is empty, has more than 100 characters,
    /// or does not stay on one line.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let is_good = (1..=MOST).contains(&name.chars().count()) && is_one_line(name);
        is_good.then(|| Self(name.to_owned()))
    }

    /// Somebody who works on the service's database by a command and does not say who they are.
    pub fn at_the_command_line() -> Self {
        Self("operator@command-line".to_owned())
    }

    fn parse(header: &[u8]) -> Result<Self, Problem> {
        let name = std::str::from_utf8(header).ok().and_then(Self::named);
        name.ok_or_else(|| {
            Problem::new(&kinds::BAD_REQUEST).detail("`X-Operator` has 1 to 100 characters on one line.")
        })
    }
}

impl FromRequest for Actor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.headers().get(HEADER) {
            Some(named) => Self::parse(named.as_bytes()),
            None => Ok(Self(request.peer_addr().map_or_else(
                || "operator".to_owned(),
                |peer| format!("operator@{}", peer.ip().to_canonical()),
            ))),
        })
    }
}

impl Describe for Actor {
    fn describe(operation: &mut OperationDoc) {
        let name = ParameterBuilder::new()
            .name(HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("Who does this, for the audit: 1 to 100 characters"))
            .schema(Some(String::schema()));
        operation.parameter(name);
        operation.problem(&kinds::BAD_REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_is_not_too_long() {
        let long = "å".repeat(MOST);
        for good in ["ada@example.com", " Åsa ", &long] {
            assert_eq!(Actor::parse(good.as_bytes()).unwrap().as_str(), good.trim());
        }
        let longer = "å".repeat(MOST + 1);
        for bad in [&b""[..], b"  ", b"a\x1b[2J", b"\xff", longer.as_bytes()] {
            assert_eq!(Actor::parse(bad).unwrap_err().kind().status, 400, "{bad:?}");
        }
    }
}
