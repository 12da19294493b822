//! Bodies that are no JSON, have another shape, or come as something else.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::case::Expected::{self, Field, Fine, Problem};
use super::case::{Case, ROUND, To, someone};

const MALFORMED: Expected = Problem(400, "malformed-json");
const UNSUPPORTED: Expected = Problem(415, "unsupported-media-type");

pub(super) fn cases() -> Vec<Case> {
    [
        malformed(),
        shapes(),
        sizes(),
        lengths(),
        content_types(),
        encodings(),
        log_ins(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn malformed() -> Vec<Case> {
    let fine = someone().to_string();
    let utf16: Vec<u8> = fine.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("blanks", b"  \r\n\t ".to_vec()),
        ("an open brace", b"{".to_vec()),
        ("a NUL", b"\0".to_vec()),
        ("an open string", br#"{"email":"a"#.to_vec()),
        ("a trailing comma", br#"{"email":"a",}"#.to_vec()),
        ("single quotes", b"{'email':'a'}".to_vec()),
        ("a comment", br#"{/* hello */"email":"a"}"#.to_vec()),
        ("a number beyond numbers", br#"{"email":1e999}"#.to_vec()),
        ("a bare NaN", br#"{"x":NaN}"#.to_vec()),
        ("two documents", format!("{fine}{fine}").into_bytes()),
        ("words after the document", format!("{fine} true").into_bytes()),
        ("a raw line break in a string", b"{\"email\":\"a\nb\"}".to_vec()),
        ("half of a surrogate pair", br#"{"email":"\ud83d"}"#.to_vec()),
        ("an escape that is none", br#"{"email":"\x41"}"#.to_vec()),
        ("a byte that is no UTF-8", b"{\"email\":\"\xff\"}".to_vec()),
        ("an overlong NUL", b"{\"email\":\"\xc0\x80\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"email\":\"\xed\xa0\x80\"}".to_vec()),
        (
            "a code point beyond the last",
            b"{\"email\":\"\xf4\x90\x80\x80\"}".to_vec(),
        ),
        ("UTF-8 that breaks off", b"{\"email\":\"\xe2\x82".to_vec()),
        ("UTF-16", utf16),
        ("two byte order marks", format!("\u{feff}\u{feff}{fine}").into_bytes()),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0".to_vec()),
        ("arrays without end", vec![b'['; 60_000]),
        ("objects without end", br#"{"a":"#.repeat(10_000)),
    ];
    let mut cases = Vec::new();
    for path in ["/v1/users", "/v1/sessions"] {
        let to_path = bytes
            .iter()
            .map(|(name, body)| Case::post(format!("{path} {name}"), path, body, MALFORMED));
        cases.extend(to_path);
    }
    cases
}

/// A field that nobody asks for, as deep as 64 KiB hold.
fn deep(open: &str, close: &str) -> Vec<u8> {
    let levels = 60_000 / (open.len() + close.len());
    format!(r#"{{"x":{}1{}}}"#, open.repeat(levels), close.repeat(levels)).into_bytes()
}

fn shapes() -> Vec<Case> {
    let documents = ["null", "true", "1", "\"text\"", "[]", "[1,2,3]", "[{}]"];
    let mut cases: Vec<Case> = documents
        .into_iter()
        .map(|body| Case::post(format!("the document {body}"), "/v1/users", body, Field("")))
        .collect();
    cases.push(Case::post("an empty object", "/v1/users", "{}", Field("/email")));
    for (field, pointer) in [("email", "/email"), ("name", "/name"), ("password", "/password")] {
        let mut without = someone();
        without.as_object_mut().unwrap().remove(field);
        cases.push(Case::post(
            format!("no {field}"),
            "/v1/users",
            without.to_string(),
            Field(pointer),
        ));
        let twice = someone().to_string().replacen('{', &format!(r#"{{"{field}":"x","#), 1);
        cases.push(Case::post(format!("{field} twice"), "/v1/users", twice, Field(pointer)));
        for value in wrong_types() {
            let name = format!("{field} as {value}");
            cases.push(Case::sign_up(name, field, value, Field(pointer)));
        }
        cases.push(Case::sign_up(
            format!("{field} as null"),
            field,
            Value::Null,
            Field(pointer),
        ));
    }
    for (field, pointer) in [("locale", "/locale"), ("phone", "/phone"), ("time_zone", "/time_zone")] {
        for value in wrong_types() {
            let name = format!("{field} as {value}");
            cases.push(Case::sign_up(name, field, value, Field(pointer)));
        }
        cases.push(Case::sign_up(format!("{field} as null"), field, Value::Null, Fine(201)));
    }
    let more = json!({"": [], "__proto__": {"roles": ["admin"]}, "a\u{0}b": 1, "roles": ["admin"], "id": 7});
    for (field, value) in more.as_object().unwrap() {
        cases.push(Case::sign_up(
            format!("an unknown field {field:?}"),
            field,
            value.clone(),
            Fine(201),
        ));
    }
    cases
}

fn wrong_types() -> [Value; 5] {
    [json!(1), json!(-0.5e300), json!(false), json!([]), json!({"$ne": 1})]
}

fn sizes() -> Vec<Case> {
    // Passed over like every unknown field, without a deep stack: only what is missing is named.
    let (arrays, objects) = (deep("[", "]"), deep(r#"{"a":"#, "}"));
    let many: Vec<String> = (0..6000).map(|n| format!(r#""f{n}":0"#)).collect();
    vec![
        Case::post("deep arrays that end", "/v1/users", arrays, Field("/email")),
        Case::post("deep objects that end", "/v1/users", objects, Field("/email")),
        Case::post(
            "thousands of fields",
            "/v1/users",
            format!("{{{}}}", many.join(",")),
            Field("/email"),
        ),
        Case::post(
            "64 KiB of blanks and a document",
            "/v1/users",
            padded(64 * 1024),
            Fine(201),
        ),
        Case::post(
            "a byte more than 64 KiB",
            "/v1/users",
            padded(64 * 1024 + 1),
            Problem(413, "too-large"),
        ),
        Case::post(
            "a megabyte",
            "/v1/users",
            padded(1024 * 1024),
            Problem(413, "too-large"),
        ),
    ]
}

/// Fields that are too long, too short or empty.
fn lengths() -> Vec<Case> {
    vec![
        Case::sign_up("a huge address", "email", "a".repeat(60_000), Field("/email")),
        Case::sign_up(
            "a huge address with a domain",
            "email",
            format!("{}@example.com", "a".repeat(50_000)),
            Field("/email"),
        ),
        Case::sign_up(
            "a domain of many labels",
            "email",
            format!("a@{}com", "a.".repeat(20_000)),
            Field("/email"),
        ),
        Case::sign_up("a huge name", "name", "a".repeat(60_000), Field("/name")),
        Case::sign_up("a name of 101 characters", "name", "é".repeat(101), Field("/name")),
        Case::sign_up("a huge password", "password", "a".repeat(60_000), Field("/password")),
        Case::sign_up("a short password", "password", "1234567", Field("/password")),
        Case::sign_up(
            "a huge phone number",
            "phone",
            format!("+{}", "1".repeat(60_000)),
            Field("/phone"),
        ),
        Case::sign_up(
            "a huge time zone",
            "time_zone",
            "UTC/".repeat(10_000),
            Field("/time_zone"),
        ),
        Case::sign_up("a huge locale", "locale", "en-".repeat(20_000), Fine(201)),
        Case::sign_up("an empty address", "email", "", Field("/email")),
        Case::sign_up("an empty name", "name", "", Field("/name")),
        Case::sign_up("an empty password", "password", "", Field("/password")),
        Case::post(
            "everything wrong at once",
            "/v1/users",
            r#"{"email":"","name":"","password":""}"#,
            Field("/email"),
        ),
    ]
}

fn padded(bytes: usize) -> String {
    let body = someone().to_string();
    " ".repeat(bytes - body.len()) + &body
}

fn content_types() -> Vec<Case> {
    let body = someone().to_string();
    let to = (To::Users, "POST", "/v1/users");
    let refused: [&[u8]; 12] = [
        b"x-nothing: 1",
        b"content-type:",
        b"content-type: text/plain",
        b"content-type: application/x-www-form-urlencoded",
        b"content-type: multipart/form-data; boundary=x",
        b"content-type: application/xml",
        b"content-type: application/jsonp",
        b"content-type: application/vnd.api+json",
        b"content-type: application/json, text/plain",
        b"content-type: json",
        b"content-type: ;;;===",
        b"content-type: \xff\xfe",
    ];
    let mut cases: Vec<Case> = refused
        .iter()
        .map(|header| {
            Case::new(
                String::from_utf8_lossy(header),
                to,
                (&[header], body.as_bytes()),
                UNSUPPORTED,
            )
        })
        .collect();
    let taken: [&[u8]; 2] = [
        b"Content-Type: Application/JSON;charset=utf-8",
        b"content-type: application/json;;=",
    ];
    for header in taken {
        cases.push(Case::new(
            String::from_utf8_lossy(header),
            to,
            (&[header], body.as_bytes()),
            Fine(201),
        ));
    }
    cases
}

/// Packed bodies: unpacked within the bound, or refused; never read as they are.
fn encodings() -> Vec<Case> {
    let (body, to) = (someone().to_string(), (To::Users, "POST", "/v1/users"));
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let case = |encoding: &str, body: &[u8], expected| {
        let header = format!("content-encoding: {encoding}");
        let headers: &[&[u8]] = &[b"content-type: application/json", header.as_bytes()];
        Case::new(format!("{header}, {} bytes", body.len()), to, (headers, body), expected)
    };
    // What is counted through stands in the body as it is: a packed one is the same each time.
    let mut missing = json!({"email": "owner@example.com", "name": "Ada"}).to_string();
    missing.push(' ');
    vec![
        case("identity", body.as_bytes(), Fine(201)),
        case("gzip", &gzip(missing.as_bytes()), Field("/password")),
        case("x-gzip", &gzip(missing.as_bytes()), Field("/password")),
        case("gzip", body.as_bytes(), Problem(400, "bad-request")),
        case("gzip", &gzip(&vec![b' '; 10_000_000]), Problem(413, "too-large")),
        case("br", body.as_bytes(), UNSUPPORTED),
        case("zstd", body.as_bytes(), UNSUPPORTED),
        case("gzip, gzip", &gzip(&gzip(missing.as_bytes())), UNSUPPORTED),
        case("nonsense", body.as_bytes(), UNSUPPORTED),
        Case::post("a byte order mark", "/v1/users", format!("\u{feff}{body}"), Fine(201)),
    ]
}

fn log_ins() -> Vec<Case> {
    let log_in = |name: &str, email: &str, password: &str, expected| {
        let body = json!({"email": email, "password": password}).to_string();
        Case::post(format!("log-in, {name}"), "/v1/sessions", body, expected)
    };
    let refused = Problem(401, "bad-credentials");
    vec![
        log_in("nobody", &format!("{ROUND}@nobody.example"), "12345678", refused),
        log_in("empty", "", "", refused),
        log_in("NUL", "owner@example.com\0", "correct horse battery\0", refused),
        log_in("CR LF", "owner@example.com\r\n", "x\r\n", refused),
        log_in("SQL", "' OR '1'='1' --", "' OR '1'='1' --", refused),
        log_in("a huge address", &"a".repeat(60_000), "12345678", refused),
        log_in("a huge password", "owner@example.com", &"x".repeat(60_000), refused),
        log_in("a homoglyph", "оwner@example.com", "correct horse battery", refused),
        Case::post(
            "log-in, no password",
            "/v1/sessions",
            r#"{"email":"a"}"#,
            Field("/password"),
        ),
        Case::post(
            "log-in, a query",
            "/v1/sessions",
            r#"{"email":{"$gt":""},"password":{"$gt":""}}"#,
            Field("/email"),
        ),
        Case::post(
            "log-in, twice",
            "/v1/sessions",
            r#"{"email":"a","password":"b","password":"c"}"#,
            Field("/password"),
        ),
    ]
}
