//! `GET /operations/journey`: what this service knows of a journey.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use super::events::{EventView, taken, waiting};
use super::key::Key;
use super::known::{Known, State, Tables};
use crate::database::within_deadline;
use crate::dispatch::{Delivery, Keys, find_by_keys};
use crate::http::{
    Answer, Class, Describe, Endpoint, Found, OperationDoc, OperationError, Problem, Violation, Violations, kinds,
    query_fields, query_parameter,
};
use crate::operations::deliveries::{DeliveryView, views};

/// Most deliveries that are shown: the newest.
const MOST: u64 = 100;

/// What the service knows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Journey)]
pub(super) struct JourneyView {
    /// By what the same person is known in other services, too
    known_as: Vec<String>,
    /// The oldest first
    events: Vec<EventView>,
    /// The newest first, a hundred at most
    deliveries: Vec<DeliveryView>,
}

/// The row of the API.
pub(crate) fn rows() -> Vec<Endpoint> {
    vec![Endpoint::at("/operations/journey").get(
        Class::Read,
        "Show the events and deliveries that belong to an address, a number, a person, an event or a trace",
        show_journey,
    )]
}

/// Shows the journey of a key.
async fn show_journey(
    state: Data<State>,
    Requested(key): Requested,
) -> Result<Answer<Found<JourneyView>>, OperationError> {
    let known = within_deadline((state.knows)(key.clone())).await?;
    let connection = state.database.read();
    let Known { keys, events } = known;
    let found = async {
        match state.tables {
            Tables::Outbox => Ok(Vec::new()),
            Tables::InboxAndDeliveries => find_by_keys(connection, &keys_of(&key, &keys), MOST).await,
        }
    };
    let rows = within_deadline(found).await?;
    let journey = Journey {
        key: &key,
        keys: &keys,
        rows: &rows,
        tables: state.tables,
    };
    let mut events = [events, within_deadline(journey.events(connection)).await?].concat();
    events.sort_by_key(EventView::at);
    let deliveries = within_deadline(views(connection, rows)).await?;
    Ok(Answer::found(&JourneyView {
        known_as: keys,
        events,
        deliveries,
    }))
}

/// The recipients, ids and trace by which deliveries of the journey are found.
fn keys_of(key: &Key, known: &[String]) -> Keys {
    let mut recipients = vec![key.as_str().to_owned()];
    recipients.extend(known.iter().filter(|one| *one != key.as_str()).cloned());
    Keys {
        recipients,
        ids: key.id().into_iter().collect(),
        trace_id: key.trace_id(),
    }
}

/// What is known when events are looked for.
struct Journey<'a> {
    key: &'a Key,
    keys: &'a [String],
    rows: &'a [Delivery],
    tables: Tables,
}

impl Journey<'_> {
    async fn events(&self, connection: &impl ConnectionTrait) -> Result<Vec<EventView>, DbErr> {
        let causes = self.rows.iter().map(Delivery::event_id);
        let mut ids: Vec<Uuid> = causes.chain(self.key.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let people = self.keys.iter().filter_map(|key| Uuid::try_parse(key).ok());
        let subjects: Vec<Uuid> = people.chain(self.key.id()).collect();
        let mut events = waiting(connection, &ids, &subjects).await?;
        if matches!(self.tables, Tables::InboxAndDeliveries) {
            events.extend(taken(connection, &ids).await?);
        }
        Ok(events)
    }
}

/// The key in the query.
struct Requested(Key);

#[derive(Debug, Deserialize)]
struct Query {
    key: Option<String>,
}

impl Requested {
    fn parse(query: &str) -> Result<Self, Problem> {
        let query: Query = query_fields(query)?;
        let missing = Violation {
            code: "required",
            detail: "must be an address, a number, or the id of a person, an event or a trace",
        };
        let key = query.key.ok_or(missing).and_then(|text| Key::parse(&text));
        key.map(Self)
            .map_err(|violation| Violations::one("/key", violation).into())
    }
}

impl FromRequest for Requested {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl Describe for Requested {
    fn describe(operation: &mut OperationDoc) {
        let key = ObjectBuilder::new().schema_type(Type::String);
        let what = "An address, a number, or the id of a person, an event, a delivery or a trace";
        operation.parameter(query_parameter("key", what, key));
        operation.problem(&kinds::BAD_REQUEST);
        operation.problem(&kinds::VALIDATION);
    }
}
