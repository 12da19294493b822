//! The description of the API, from its code.

use common::http::ProblemDocument;
use utoipa::OpenApi;

use crate::{accounts, sessions};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Waypost user-api",
        description = "Accounts and sessions. Every error is a problem document (RFC 9457) whose `type` is a page that explains it.",
    ),
    paths(
        accounts::register::register,
        accounts::read::read,
        accounts::read::read_me,
        sessions::create::create,
        sessions::jwks::jwks,
    ),
    components(schemas(ProblemDocument<'_>)),
)]
pub(super) struct ApiDescription;
