//! What the types over a text have in common.

use utoipa::openapi::schema::{ObjectBuilder, Type};

/// Gives a type over a text its `as_str` and a `Debug` that shows nothing of it.
macro_rules! personal_text {
    ($type:ident) => {
        impl $type {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    };
}
pub(super) use personal_text;

/// Describes a type by what its function `form` builds upon a text.
macro_rules! described_text {
    ($type:ident) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                form().build().into()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}
pub(super) use described_text;

/// The beginning of a text's description.
pub(super) fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}
