//! Conditional requests (RFC 9110, 13): reads of what is newer, and writes over what the caller has seen.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{EntityTag, Header, HeaderValue, IF_MATCH, IfNoneMatch};
use actix_web::{FromRequest, HttpRequest};
use utoipa::PartialSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::describe::{Describe, OperationDoc};
use super::{Problem, kinds};

/// `*`, or entity tags with commas between, as the description has it.
const IF_MATCH_PATTERN: &str = r#"^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$"#;

/// The versions that the caller has, by `If-None-Match`. What can't be read names none.
#[derive(Debug)]
pub struct KnownVersions(Option<IfNoneMatch>);

impl KnownVersions {
    /// Whether the caller has this version.
    pub fn contain(&self, tag: &EntityTag) -> bool {
        match &self.0 {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
            None => false,
        }
    }
}

impl FromRequest for KnownVersions {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Asked first: reading a header that is not there makes an error with a text.
        let is_there = request.headers().contains_key(IfNoneMatch::name());
        ready(Ok(Self(is_there.then(|| IfNoneMatch::parse(request).ok()).flatten())))
    }
}

impl Describe for KnownVersions {
    fn describe(operation: &mut OperationDoc) {
        let header = ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("`ETag` of the version that the caller has"))
            .schema(Some(String::schema()));
        operation.parameter(header);
    }
}

/// The versions that the caller means to change, by `If-Match`; the change is refused when another one stands there.
///
/// 428 without the header: a change of what the caller has not seen would undo somebody else's. 400 when it is
/// neither `*` nor a list of entity tags.
#[derive(Debug, PartialEq, Eq)]
pub enum ExpectedVersions {
    /// `*`: whichever there is.
    Any,
    /// One of these, each what stands between a tag's quotes. Weak tags are left out: they never match.
    OneOf(Vec<Vec<u8>>),
}

impl ExpectedVersions {
    /// Whether this version is among them, by the strong comparison (RFC 9110, 8.8.3.2).
    pub fn contain(&self, tag: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(expected) => !tag.weak && expected.iter().any(|expected| expected == tag.tag().as_bytes()),
        }
    }

    /// Reads the header, all its lines as one list; `None` when it has another form.
    fn parse<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> Option<Self> {
        let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
        let list = lines.join(&b',');
        if list.trim_ascii() == b"*" {
            return Some(Self::Any);
        }
        let (mut tags, mut any_tag) = (Vec::new(), false);
        let mut rest = list.trim_ascii();
        while !rest.is_empty() {
            // A list may have empty places (RFC 9110, 5.6.1).
            if let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii_start();
                continue;
            }
            let (tag, is_weak, after) = entity_tag(rest)?;
            any_tag = true;
            if !is_weak {
                tags.push(tag.to_vec());
            }
            rest = after.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return None;
            }
        }
        any_tag.then_some(Self::OneOf(tags))
    }
}

/// Splits a list behind its first tag: what stands between the quotes, whether it is weak, and what comes after.
fn entity_tag(list: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (quoted, is_weak) = match list.strip_prefix(b"W/") {
        Some(quoted) => (quoted, true),
        None => (list, false),
    };
    let inside = quoted.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| *byte == b'"')?;
    let (tag, after) = (&inside[..end], &inside[end + 1..]);
    let is_tag = tag.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..));
    is_tag.then_some((tag, is_weak, after))
}

impl FromRequest for ExpectedVersions {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let headers = request.headers();
        if !headers.contains_key(IF_MATCH) {
            return ready(Err(Problem::new(&kinds::PRECONDITION_REQUIRED)));
        }
        let malformed =
            || Problem::new(&kinds::BAD_REQUEST).detail("`If-Match` is neither `*` nor a list of entity tags.");
        ready(Self::parse(headers.get_all(IF_MATCH)).ok_or_else(malformed))
    }
}

impl Describe for ExpectedVersions {
    fn describe(operation: &mut OperationDoc) {
        let tags = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(IF_MATCH_PATTERN));
        let header = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(
                "`ETag` of the version that the caller changes; `*`: whichever there is",
            ))
            .schema(Some(tags));
        operation.parameter(header);
        operation.problem(&kinds::BAD_REQUEST);
        operation.problem(&kinds::PRECONDITION_FAILED);
        operation.problem(&kinds::PRECONDITION_REQUIRED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&[u8]]) -> Option<ExpectedVersions> {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| HeaderValue::from_bytes(line).unwrap())
            .collect();
        ExpectedVersions::parse(lines.iter())
    }

    fn holds(lines: &[&[u8]], tag: &str) -> bool {
        parse(lines).unwrap().contain(&EntityTag::new_strong(tag.to_owned()))
    }

    #[test]
    fn a_version_holds_when_a_strong_tag_names_it_or_all_are_meant() {
        let lists: [&[&[u8]]; 8] = [
            &[b"*"],
            &[b" * "],
            &[br#""a-1""#],
            &[br#""b-1", "a-1""#],
            &[br#""b-1","a-1""#],
            &[br#", "a-1" ,, "#],
            &[br#"W/"a-1", "a-1""#],
            &[br#""b-1""#, br#""a-1""#],
        ];
        for lines in lists {
            assert!(holds(lines, "a-1"), "{lines:?}");
        }
        let lists: [&[&[u8]]; 6] = [
            &[br#""a-2""#],
            &[br#"W/"a-1""#],
            &[br#"W/"a-1", W/"a-2""#],
            &[br#""""#],
            // One tag with a comma in it, not two.
            &[br#""x,a-1,y""#],
            &[b"\"a-1\xff\""],
        ];
        for lines in lists {
            assert!(!holds(lines, "a-1"), "{lines:?}");
        }
        let weak = EntityTag::new_weak("a-1".to_owned());
        assert!(!parse(&[br#""a-1""#]).unwrap().contain(&weak));
    }

    #[test]
    fn what_is_no_list_of_tags_is_malformed() {
        let lists: [&[&[u8]]; 12] = [
            &[b""],
            &[b" , "],
            &[b"a-1"],
            &[b"1"],
            &[br#""a-1"#],
            &[br#"a-1""#],
            &[br#""a-1" "a-2""#],
            &[br#""a-1"x"#],
            &[br#"w/"a-1""#],
            &[br#"W/W/"a-1""#],
            &[br#"*, "a-1""#],
            &[br#""a 1""#],
        ];
        for lines in lists {
            assert_eq!(parse(lines), None, "{lines:?}");
        }
    }
}
