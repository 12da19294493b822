//! The description of the API, from its code.

use common::http::ProblemDocument;
use utoipa::OpenApi;

use super::{change_state, list, list_deliveries, read_all, show, stream, unread_count};

#[derive(OpenApi)]
#[openapi(
    info(title = "Waypost notification gateway", description = "A person's notifications: listed, counted, live."),
    paths(
        list::handle, show::handle, change_state::handle, unread_count::handle, read_all::handle,
        list_deliveries::handle, stream::handle,
    ),
    components(schemas(ProblemDocument)),
    tags((name = "notifications", description = "The person's own notifications, by their access token.")),
)]
pub(super) struct Document;
