//! Which page of a list a query asks for. The newest comes first, and ids grow with time.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use uuid::Uuid;

use crate::http::{LIMIT_DEFAULT, LIMIT_MOST, OperationDoc, Problem, kinds, query_parameter};

/// The id before which the page begins; `None` for the first page, which begins at the newest.
pub(super) fn before(cursor: Option<String>) -> Result<Option<Uuid>, Problem> {
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
    let before = cursor.map(|cursor| Uuid::try_parse(&cursor)).transpose();
    before.map_err(|_| Problem::new(&kinds::BAD_CURSOR))
}

/// Describes `limit` and `cursor`, and the problems that a query is refused with.
pub(super) fn describe(operation: &mut OperationDoc) {
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1_u64))
        .maximum(Some(LIMIT_MOST))
        .default(Some(LIMIT_DEFAULT.into()));
    let cursor = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    operation.parameter(query_parameter("limit", "How many at most", limit));
    operation.parameter(query_parameter("cursor", "`next_cursor` of the answer before", cursor));
    operation.problem(&kinds::BAD_REQUEST);
    operation.problem(&kinds::BAD_CURSOR);
    operation.problem(&kinds::VALIDATION);
}
