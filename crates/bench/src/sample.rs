//! The message that the relay and its ceiling both publish.

use common::{config::Service, messaging::OutboundMessage, telemetry::TraceContext};
use contracts::{Event, events::EmailSent};
use uuid::Uuid;

/// An event as it stands in the outbox: the one that goes to one queue only.
pub(crate) fn sample_message() -> anyhow::Result<OutboundMessage> {
    let data = EmailSent {
        email_id: Uuid::now_v7(),
        user_id: Uuid::now_v7(),
        template: "welcome".to_owned(),
        source_event_id: Uuid::now_v7(),
        notification_id: None,
        message_id: format!("{}@waypost.example", Uuid::now_v7()),
        reason: None,
    };
    let event = Event::new(data.user_id, common::Timestamp::now().to_offset(), data);
    Ok(OutboundMessage::of(Service::UserApi, &event, TraceContext::fresh())?)
}
