//! Sends one mail for a delivery row, and tells of it in the transaction of its outcome.

use std::sync::Arc;

use common::Timestamp;
use common::dispatch::{Delivery, Outcome, Progress, Reason, RecordError, Sender, Wait};
use common::messaging::Change;
use contracts::Event;
use contracts::events::EmailSent;

use super::error::SendError;
use super::{MailOrder, Transport};
use crate::emails::{ComposeError, Content, Emails, Header, Template};

/// Sends the mails that deliveries ask for.
pub(crate) struct MailSender {
    emails: Emails,
    transport: Arc<Transport>,
}

impl MailSender {
    pub(crate) fn new(emails: Emails, transport: Arc<Transport>) -> Self {
        Self { emails, transport }
    }
}

impl Sender for MailSender {
    const EFFECTS: &'static [&'static str] = &[Template::Welcome.effect()];

    fn effect(&self, delivery: &Delivery) -> Option<&'static str> {
        MailOrder::of(delivery).map(|order| order.template.effect())
    }

    async fn send(&self, delivery: &Delivery, progress: &Progress) -> Outcome {
        let Some(order) = MailOrder::of(delivery) else {
            // A newer worker beside this one may have written it, and can send it.
            tracing::error!(delivery = %delivery.id, "a row does not say which mail it is; it is tried again later");
            return Outcome::Retry {
                error: "this version does not know such a mail".to_owned(),
                after: None,
            };
        };
        let header = Header {
            to: &delivery.recipient,
            source_event_id: delivery.source_event_id,
            date: delivery.created_at,
        };
        let content = Content {
            template: order.template,
            name: &order.name,
            locale: &order.locale,
        };
        let message = match self.emails.compose(header, content) {
            Ok(message) => message,
            Err(error @ ComposeError::Address) => return rejected(&error.to_string()),
            Err(error) => {
                // The defect is ours; the mail waits for a version that can write it.
                let error = common::process::chain(&error);
                tracing::error!(delivery = %delivery.id, error, "a mail can't be composed; it is tried again later");
                return Outcome::Retry { error, after: None };
            }
        };
        let sent = if delivery.retry_now {
            self.transport.probe(delivery.id, &message, progress).await
        } else {
            self.transport.send(delivery.id, &message, progress).await
        };
        match sent {
            Ok(()) => Outcome::Accepted {
                provider_message_id: Some(self.emails.message_id(delivery.source_event_id, order.template)),
            },
            Err(SendError::Rejected(error)) => rejected(&error),
            Err(SendError::Temporary { error, after }) => Outcome::Retry {
                error,
                after: after.map(Wait::Destination),
            },
            Err(SendError::Unknown(error)) => Outcome::Unknown { error },
            Err(SendError::Unreachable { error, after }) => {
                tracing::warn!(error, "the mail server can't be reached");
                Outcome::Unavailable {
                    after: Wait::Destination(after),
                }
            }
            Err(SendError::Resting { after }) => Outcome::Unavailable {
                after: Wait::Destination(after),
            },
        }
    }

    async fn record(&self, change: &mut Change, delivery: &Delivery, outcome: &Outcome) -> Result<(), RecordError> {
        let (Outcome::Accepted { .. }, Some(order)) = (outcome, MailOrder::of(delivery)) else {
            return Ok(());
        };
        let sent = EmailSent {
            email_id: delivery.id,
            user_id: order.user_id,
            template: order.template.name().to_owned(),
            // For a copy this is the event that asked for the first mail, since others know that one.
            source_event_id: delivery.event_id(),
            notification_id: None,
            message_id: self.emails.message_id(delivery.source_event_id, order.template),
            reason: None,
        };
        let event = Event::new(order.user_id, Timestamp::now().to_offset(), sent).caused_by(delivery.event_id());
        Ok(change.tell(&event)?)
    }
}

fn rejected(error: &str) -> Outcome {
    Outcome::Failed {
        reason: Reason::Rejected,
        error: error.to_owned(),
    }
}
