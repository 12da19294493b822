//! The message that the relay and its ceiling both publish.

use common::{config::Service, messaging::OutboundMessage, telemetry::TraceContext};
use contracts::{Event, EventData, events::EmailSent};
use uuid::Uuid;

/// An event as it stands in the outbox, of a type that goes to one queue only.
pub(crate) fn sample_message() -> anyhow::Result<OutboundMessage> {
    Ok(OutboundMessage::of(
        Service::UserApi,
        &sample_event(),
        TraceContext::fresh(),
    )?)
}

/// Such an event, with new ids each time.
pub(crate) fn sample_event() -> Event<EmailSent> {
    let data = EmailSent {
        email_id: Uuid::now_v7(),
        user_id: Uuid::now_v7(),
        source_event_id: Uuid::now_v7(),
        message_id: format!("{}@waypost.example", Uuid::now_v7()),
        ..EmailSent::example()
    };
    Event::new(data.user_id, common::Timestamp::now().to_offset(), data)
}
