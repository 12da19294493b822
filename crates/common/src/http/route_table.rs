//! All routes of a service: what is served, and the description of it.

use std::collections::BTreeSet;
use std::fmt;

use actix_web::web::ServiceConfig;
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem};

use super::describe::{BEARER, OperationDoc};
use super::endpoint::{Endpoint, Offer};
use super::shed::Shedder;
use super::{Kind, kinds};

/// The routes of one service, in rooms: one for each noun. A path that matches more than one row belongs to the first.
pub struct RouteTable {
    title: &'static str,
    description: &'static str,
    rooms: Vec<(&'static str, Vec<Endpoint>)>,
}

impl RouteTable {
    /// A table without rows; title and description head the API's document.
    pub fn new(title: &'static str, description: &'static str) -> Self {
        Self {
            title,
            description,
            rooms: Vec::new(),
        }
    }

    /// Adds the rows of a room, the noun that its operations are about.
    #[must_use]
    pub fn room(mut self, noun: &'static str, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.rooms.push((noun, endpoints.into_iter().collect()));
        self
    }

    /// The description of the API (`OpenAPI` 3.1), made from the types of its handlers.
    pub fn openapi(&self) -> OpenApi {
        let mut paths = PathsBuilder::new();
        let mut components = ComponentsBuilder::new();
        for (noun, endpoint) in self.endpoints() {
            let mut item = PathItem::default();
            for offer in endpoint.offers() {
                let mut doc = OperationDoc::default();
                (offer.describe)(&mut doc);
                let mut operation = doc.build();
                operation.operation_id = Some(offer.name.to_owned());
                operation.summary = Some(offer.summary.to_owned());
                operation.tags = Some(vec![noun.to_owned()]);
                for (name, schema) in doc.schemas {
                    components = components.schema(name, schema);
                }
                item.merge_operations(PathItem::new(offer.described.clone(), operation));
            }
            paths = paths.path(endpoint.path(), item);
        }
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        OpenApiBuilder::new()
            .info(
                InfoBuilder::new()
                    .title(self.title)
                    .description(Some(self.description))
                    .version(env!("CARGO_PKG_VERSION"))
                    .build(),
            )
            .paths(paths.build())
            .components(Some(
                components.security_scheme(BEARER, SecurityScheme::Http(token)).build(),
            ))
            .build()
    }

    /// The description as JSON, a field a line.
    pub fn document(&self) -> String {
        // The document is text and numbers: nothing in it can't be written.
        serde_json::to_string_pretty(&self.openapi()).unwrap_or_default()
    }

    /// Every kind of problem that has a page: the shared ones, and those of the operations.
    pub(super) fn kinds(&self) -> Vec<&'static Kind> {
        let mut all: Vec<&'static Kind> = kinds::ALL.to_vec();
        let mut slugs: BTreeSet<_> = all.iter().map(|kind| kind.slug).collect();
        for offer in self.endpoints().flat_map(|(_, endpoint)| endpoint.offers()) {
            let mut doc = OperationDoc::default();
            (offer.describe)(&mut doc);
            all.extend(doc.kinds().filter(|kind| slugs.insert(kind.slug)));
        }
        all
    }

    /// How many operations it has.
    pub(super) fn operations(&self) -> usize {
        self.endpoints().map(|(_, endpoint)| endpoint.offers().len()).sum()
    }

    /// Serves every row, each operation behind its concurrency limit, where there are such.
    pub(super) fn configure(self, app: &mut ServiceConfig, shedder: Option<&Shedder>) {
        let mut number = 0;
        for endpoint in self.rooms.into_iter().flat_map(|(_, endpoints)| endpoints) {
            let offers = endpoint.offers().len();
            app.service(endpoint.into_resource(shedder, number));
            number += offers;
        }
    }

    fn endpoints(&self) -> impl Iterator<Item = (&'static str, &Endpoint)> {
        let room = |(noun, endpoints): &'_ (&'static str, Vec<Endpoint>)| (*noun, endpoints.len());
        let nouns = self
            .rooms
            .iter()
            .map(room)
            .flat_map(|(noun, rows)| std::iter::repeat_n(noun, rows));
        nouns.zip(self.rooms.iter().flat_map(|(_, endpoints)| endpoints))
    }
}

impl fmt::Display for RouteTable {
    /// A line a method: method, path, class of limit, who may, and whether it is refused last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, endpoint) in self.endpoints() {
            for offer in endpoint.offers() {
                let Offer {
                    method, class, access, ..
                } = offer;
                let securing = if offer.is_securing { " Securing" } else { "" };
                writeln!(f, "{method} {} {class:?} {access:?}{securing}", endpoint.path())?;
            }
        }
        Ok(())
    }
}
