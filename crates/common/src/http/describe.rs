//! The description of an operation, which follows from its types.
//!
//! Extractors say what they read and with which problems they refuse, answers say what they hold, errors say
//! what may go wrong. A handler's signature is thus its description: no row is typed by hand, none is missing.

use std::collections::BTreeMap;

use actix_web::web::Data;
use serde_json::json;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder, Responses};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required};
use utoipa::{PartialSchema, ToSchema};

use super::{Kind, ProblemDocument, kinds};

/// Name of the bearer tokens' scheme in the description.
pub(super) const BEARER: &str = "bearer";

/// Says what a part of a handler's signature adds to the description of its operation.
pub trait Describe {
    /// Adds it.
    fn describe(operation: &mut OperationDoc);
}

/// The state of a service: nothing that a caller sees.
impl<T: ?Sized> Describe for Data<T> {
    fn describe(_: &mut OperationDoc) {}
}

macro_rules! describe_tuples {
    ($(($($part:ident)*))*) => {$(
        impl<$($part: Describe),*> Describe for ($($part,)*) {
            fn describe(operation: &mut OperationDoc) {
                $($part::describe(operation);)*
                let _ = operation;
            }
        }
    )*};
}

describe_tuples! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Anybody.
    #[default]
    Anyone,
    /// A person with a good token.
    Person,
    /// An administrator.
    Admin,
    /// Another system, with this scope in its token.
    Service(&'static str),
}

/// What is known of one operation.
#[derive(Default)]
pub struct OperationDoc {
    pub(super) access: Access,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: BTreeMap<u16, Response>,
    problems: BTreeMap<u16, Vec<&'static Kind>>,
    pub(super) schemas: BTreeMap<String, RefOr<Schema>>,
}

impl OperationDoc {
    /// Adds a parameter of the path, the query or the headers.
    pub fn parameter(&mut self, parameter: impl Into<Parameter>) {
        self.parameters.push(parameter.into());
    }

    /// Adds a body of type `T`, which may come as any of these media types.
    pub fn body<T: ToSchema>(&mut self, media_types: &[&str]) {
        let content = ContentBuilder::new().schema(Some(self.schema::<T>())).build();
        let body = media_types.iter().fold(RequestBodyBuilder::new(), |body, media_type| {
            body.content(*media_type, content.clone())
        });
        self.body = Some(body.required(Some(Required::True)).build());
    }

    /// Adds a body of named texts, which may come as any of these media types.
    pub(super) fn form(&mut self, media_types: &[&str]) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let fields = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(text.into())));
        let content = ContentBuilder::new().schema(Some(fields)).build();
        let body = media_types.iter().fold(RequestBodyBuilder::new(), |body, media_type| {
            body.content(*media_type, content.clone())
        });
        self.body = Some(body.required(Some(Required::True)).build());
    }

    /// Says of the schema of `T`, which was added before, that its members are all that there are.
    pub(super) fn has_no_other_members<T: ToSchema>(&mut self) {
        if let Some(RefOr::T(Schema::Object(object))) = self.schemas.get_mut(T::name().as_ref()) {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }

    /// Adds an answer that is no problem.
    pub fn answer(&mut self, status: u16, response: impl Into<Response>) {
        self.answers.insert(status, response.into());
    }

    /// Adds a problem; twice the same is one.
    pub fn problem(&mut self, kind: &'static Kind) {
        let same_status = self.problems.entry(kind.status).or_default();
        if !same_status.contains(&kind) {
            same_status.push(kind);
        }
    }

    /// Says who may call it, and with which problems everybody else is refused.
    pub fn access(&mut self, access: Access) {
        self.access = access;
        self.problem(&kinds::UNAUTHORIZED);
        if access != Access::Person {
            self.problem(&kinds::FORBIDDEN);
        }
    }

    /// A reference to the schema of `T`, which is kept with all that it refers to.
    pub fn schema<T: ToSchema>(&mut self) -> Ref {
        let mut inner = Vec::new();
        T::schemas(&mut inner);
        self.schemas.extend(inner);
        self.schemas.insert(T::name().into_owned(), T::schema());
        Ref::from_schema_name(T::name())
    }

    /// Every kind of problem that it answers with.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        self.problems.values().flatten().copied()
    }

    /// The operation as the document has it, but for its name and place.
    pub(super) fn build(&mut self) -> Operation {
        // The door refuses a long query before anybody asks whose it is.
        self.problem(&kinds::URI_TOO_LONG);
        let problem = self.schema::<ProblemDocument<'static>>();
        let answers = std::mem::take(&mut self.answers).into_iter();
        let problems = self.problems.iter();
        let problems = problems.map(|(status, kinds)| (*status, problem_response(kinds, &problem)));
        let by_status: BTreeMap<u16, Response> = answers.chain(problems).collect();
        let mut responses = Responses::new();
        for (status, response) in by_status {
            responses.responses.insert(status.to_string(), RefOr::T(response));
        }
        let mut operation = Operation::new();
        operation.responses = responses;
        operation.request_body = self.body.take().map(RefOr::T);
        if !self.parameters.is_empty() {
            operation.parameters = Some(self.parameters.drain(..).map(RefOr::T).collect());
        }
        if self.access != Access::Anyone {
            operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
        }
        operation
    }
}

/// All kinds that share a status: what each means, and how its document looks.
fn problem_response(kinds: &[&'static Kind], problem: &Ref) -> Response {
    let lines: Vec<_> = kinds
        .iter()
        .map(|kind| format!("`{}`: {}", kind.slug, kind.title))
        .collect();
    let examples = kinds.iter().map(|kind| (kind.slug, example(kind)));
    let content = ContentBuilder::new()
        .schema(Some(problem.clone()))
        .examples_from_iter(examples)
        .build();
    let mut response = ResponseBuilder::new()
        .description(lines.join("; "))
        .content("application/problem+json", content);
    for (name, description) in headers_of(kinds) {
        response = response.header(name, text_header(description));
    }
    response.build()
}

/// The headers that go with problems of these kinds.
fn headers_of(kinds: &[&'static Kind]) -> Vec<(&'static str, &'static str)> {
    match kinds.first().map(|kind| kind.status) {
        Some(401) => vec![(
            "WWW-Authenticate",
            "`Bearer`; with `error=\"invalid_token\"` when a token was shown",
        )],
        Some(429) => vec![
            ("Retry-After", "Seconds after which to try again"),
            ("RateLimit", "What is left: `r` requests, all again in `t` seconds"),
            ("RateLimit-Policy", "The limit: `q` requests in `w` seconds"),
        ],
        Some(503) => vec![("Retry-After", "Seconds after which to try again")],
        _ => Vec::new(),
    }
}

/// A header whose value is text.
pub(super) fn text_header(description: &str) -> utoipa::openapi::Header {
    utoipa::openapi::HeaderBuilder::new()
        .schema(Some(String::schema()))
        .description(Some(description))
        .build()
}

fn example(kind: &Kind) -> RefOr<utoipa::openapi::example::Example> {
    let mut document = json!({
        "type": format!("/problems/{}", kind.slug),
        "title": kind.title,
        "status": kind.status,
        "detail": kind.help,
        "instance": "/v1/..",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    });
    if kind.slug == kinds::VALIDATION.slug {
        document["errors"] = json!([{"pointer": "/email", "code": "required", "detail": "This field is missing."}]);
    }
    let example = utoipa::openapi::example::ExampleBuilder::new()
        .summary(kind.title)
        .value(Some(document));
    RefOr::T(example.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_without_a_query_may_be_sent_one_that_is_too_long() {
        let operation = OperationDoc::default().build();
        assert!(operation.responses.responses.contains_key("414"));
    }
}
