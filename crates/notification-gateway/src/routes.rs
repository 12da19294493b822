//! Every route of the API: path, method, class of limit, operation.

use common::http::{Class, Endpoint, RouteTable};

use crate::callbacks;
use crate::notifications as of;

/// The table of this service.
pub(crate) fn routes() -> RouteTable {
    RouteTable::new(
        "Waypost notification gateway",
        "A person's notifications: listed, counted, live. Every one is found by its owner's id: another's is not there.",
    )
    .room(
        "notifications",
        [
            Endpoint::at("/v1/notifications").get(Class::Read, "List one's notifications, the newest first", of::list),
            // Before `{id}`, which would take them for ids.
            Endpoint::at("/v1/notifications/unread-count").get(Class::Read, "Count what is unread", of::count_unread),
            Endpoint::at("/v1/notifications/stream").stream(Class::Read, "Notifications as they come", of::stream),
            Endpoint::at("/v1/notifications/read-all").post(Class::Write, "Mark all as read", of::read_all),
            Endpoint::at("/v1/notifications/{id}")
                .get(Class::Read, "Show a notification", of::show)
                .patch(Class::Write, "Mark a notification as unread, read or archived", of::change_state),
            Endpoint::at("/v1/notifications/{id}/deliveries").get(
                Class::Read,
                "List how a notification travelled, channel by channel",
                of::list_deliveries,
            ),
        ],
    )
    .room(
        "callbacks",
        [Endpoint::at("/v1/callbacks/sms").post(
            Class::Callback,
            "An SMS provider tells what became of a message",
            callbacks::sms,
        )],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_call_what_and_what_it_counts_towards() {
        let table = [
            "GET /v1/notifications Read Person",
            "GET /v1/notifications/unread-count Read Person",
            "GET /v1/notifications/stream Read Person",
            "POST /v1/notifications/read-all Write Person",
            "GET /v1/notifications/{id} Read Person",
            "PATCH /v1/notifications/{id} Write Person",
            "GET /v1/notifications/{id}/deliveries Read Person",
            "POST /v1/callbacks/sms Callback Anyone",
        ];
        assert_eq!(routes().to_string().lines().collect::<Vec<_>>(), table);
    }
}
