//! A change as a JSON Merge Patch (RFC 7396): what is there is set, what is null is removed, what is absent stays.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::describe::{Describe, OperationDoc};
use super::json_body::{OTHER_TYPE, describe_refusals, json_body, pointer};
use super::{Problem, Violation, Violations};

/// What a patch may come as; `application/json` for clients that can't say more.
const MEDIA_TYPES: &[&str] = &["application/merge-patch+json", "application/json"];

/// A merge patch, with the bounds and refusals of a [`JsonBody`](super::JsonBody).
///
/// The fields of `T` are [`Member`]s, each with `#[serde(default)]`, and at the end [`OtherMembers`], flattened.
pub struct MergePatch<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for MergePatch<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let patch = json_body(request, payload, MEDIA_TYPES);
        Box::pin(async move { patch.await.map(Self) })
    }
}

impl<T: ToSchema> Describe for MergePatch<T> {
    fn describe(operation: &mut OperationDoc) {
        operation.body::<T>(MEDIA_TYPES);
        operation.has_no_other_members::<T>();
        describe_refusals(operation);
    }
}

/// A text that a patch may set. It has no `Debug`, because it may be personal.
#[derive(Default)]
pub enum Member {
    /// It is not in the patch.
    #[default]
    Absent,
    /// It is to be removed.
    Null,
    /// It is to be this.
    Text(String),
    /// It is no text.
    OtherType,
}

/// What a patch does to a value.
pub enum Edit<T> {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// It becomes this.
    Set(T),
}

impl Member {
    /// What becomes of a value that may be removed. An empty text removes it as null does, because a form sends that for a
    /// field that was emptied. A rule that the text breaks is noted in `broken`.
    pub fn edit<T>(
        &self,
        pointer: &str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
        broken: &mut Violations,
    ) -> Edit<T> {
        let parsed = match self {
            Self::Absent => return Edit::Keep,
            Self::Null => return Edit::Remove,
            Self::Text(text) if text.trim().is_empty() => return Edit::Remove,
            Self::Text(text) => parse(text),
            Self::OtherType => Err(Violation {
                code: "type",
                detail: OTHER_TYPE,
            }),
        };
        broken.note(pointer, parsed).map_or(Edit::Keep, Edit::Set)
    }

    /// What becomes of a value that can't be removed; `None` when it stays, or when a broken rule is noted.
    pub fn set<T>(
        &self,
        pointer: &str,
        parse: impl FnOnce(&str) -> Result<T, Violation>,
        broken: &mut Violations,
    ) -> Option<T> {
        if let Self::Text(text) = self {
            return broken.note(pointer, parse(text));
        }
        match self.edit(pointer, parse, broken) {
            Edit::Keep => None,
            Edit::Set(value) => Some(value),
            Edit::Remove => broken.note(
                pointer,
                Err(Violation {
                    code: "required",
                    detail: "This field can't be removed.",
                }),
            ),
        }
    }
}

impl<T> Edit<T> {
    /// What stands there afterwards: `current` when it is kept, or what `value` makes of the new one.
    pub fn of<V>(self, current: Option<V>, value: impl FnOnce(T) -> V) -> Option<V> {
        match self {
            Self::Keep => current,
            Self::Remove => None,
            Self::Set(new) => Some(value(new)),
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    /// Takes every type, so that one that does not fit is named beside whatever else is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

macro_rules! other_types {
    ($($visit:ident: $type:ty),+) => {$(
        fn $visit<E>(self, _: $type) -> Result<Member, E> {
            Ok(Member::OtherType)
        }
    )+};
}

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text or null")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    other_types!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Member, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::OtherType)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Member, A::Error> {
        while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::OtherType)
    }
}

/// The members of a patch that its type has no field for.
#[derive(Default, Deserialize)]
#[serde(transparent)]
#[expect(clippy::zero_sized_map_values, reason = "what is flattened into it is a map")]
pub struct OtherMembers(BTreeMap<String, IgnoredAny>);

impl OtherMembers {
    /// Notes each in `broken`: those in `read_only` can be read but not changed here, any other is unknown.
    pub fn refuse(&self, read_only: &[&str], broken: &mut Violations) {
        for name in self.0.keys() {
            let rule = if read_only.contains(&name.as_str()) {
                Violation {
                    code: "read-only",
                    detail: "This field can't be changed here.",
                }
            } else {
                Violation {
                    code: "unknown",
                    detail: "There is no such field.",
                }
            };
            broken.note::<()>(&pointer([name.as_str()]), Err(rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json_body::parse;
    use super::*;

    #[derive(Deserialize)]
    struct Patch {
        #[serde(default)]
        name: Member,
        #[serde(default)]
        phone: Member,
        #[serde(flatten)]
        others: OtherMembers,
    }

    fn read(body: &str) -> Result<(Option<String>, Edit<String>), Problem> {
        let patch: Patch = parse(body.as_bytes())?;
        let digits = |text: &str| match text.parse::<u32>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(Violation {
                code: "digits",
                detail: "must be digits",
            }),
        };
        let mut broken = Violations::default();
        let name = patch.name.set("/name", |text| Ok(text.to_owned()), &mut broken);
        let phone = patch.phone.edit("/phone", digits, &mut broken);
        patch.others.refuse(&["id"], &mut broken);
        Ok(broken.unless_broken((name, phone))?)
    }

    fn phone_after(body: &str) -> Option<String> {
        let (_, phone) = read(body).ok().unwrap();
        phone.of(Some("0".to_owned()), |new| new)
    }

    #[test]
    fn what_is_absent_stays_null_goes_and_a_text_is_set() {
        assert_eq!(phone_after("{}").as_deref(), Some("0"));
        assert_eq!(phone_after(r#"{"phone":null}"#), None);
        assert_eq!(phone_after(r#"{"phone":""}"#), None);
        assert_eq!(read(r#"{"name":""}"#).ok().unwrap().0.as_deref(), Some(""));
        assert_eq!(phone_after(r#"{"phone":"1"}"#).as_deref(), Some("1"));
        assert_eq!(read("{}").ok().unwrap().0, None);
        assert_eq!(read(r#"{"name":"Ada"}"#).ok().unwrap().0.as_deref(), Some("Ada"));
    }

    #[test]
    fn everything_that_breaks_a_rule_is_named_at_once() {
        let body = r#"{"id":7,"name":null,"phone":"x","a/b~c":[1,{"d":null}]}"#;
        let Err(problem) = read(body) else {
            panic!("it was taken")
        };
        let named: Vec<_> = problem
            .field_errors()
            .iter()
            .map(|error| (error.pointer.as_str(), error.code))
            .collect();
        let expected = [
            ("/name", "required"),
            ("/phone", "digits"),
            ("/a~1b~0c", "unknown"),
            ("/id", "read-only"),
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn what_is_no_text_is_named_and_what_is_no_object_or_there_twice_is_refused() {
        for value in ["1", "-1", "1.5", "true", "[]", "[[1]]", "{}", r#"{"a":"b"}"#] {
            let Err(problem) = read(&format!(r#"{{"phone":{value}}}"#)) else {
                panic!("{value} was taken")
            };
            let error = &problem.field_errors()[0];
            assert_eq!((error.pointer.as_str(), error.code), ("/phone", "type"), "{value}");
        }
        for (body, status, pointer) in [
            ("[]", 422, Some("")),
            ("null", 422, Some("")),
            (r#""text""#, 422, Some("")),
            (r#"{"phone":"1","phone":"2"}"#, 422, Some("/phone")),
            (r#"{"phone":"\ud83d"}"#, 400, None),
            ("{", 400, None),
        ] {
            let Err(problem) = read(body) else {
                panic!("{body} was taken")
            };
            let named = problem.field_errors().first().map(|error| error.pointer.as_str());
            assert_eq!((problem.kind().status, named), (status, pointer), "{body}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_deep_stack() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
            for name in ["phone", "other"] {
                let Err(problem) = read(&format!(r#"{{"{name}":{deep}}}"#)) else {
                    panic!("{name} was taken")
                };
                assert!(matches!(problem.kind().status, 400 | 422), "{name}");
            }
        }
    }
}
