//! Addresses, ids, methods, queries and headers that lead nowhere.

use super::case::Expected::{self, Field, Fine, Problem};
use super::case::{Case, To};

const NOT_FOUND: Expected = Problem(404, "not-found");
const NOT_ALLOWED: Expected = Problem(405, "method-not-allowed");
const UNAUTHORIZED: Expected = Problem(401, "unauthorized");
const ELSEWHERE: &str = "01890000-0000-7000-8000-000000000000";

pub(super) fn cases(own_id: &str, token: &str) -> Vec<Case> {
    let bearer = format!("authorization: Bearer {token}").into_bytes();
    [
        unknown(),
        ids(own_id, &bearer),
        methods(),
        lists(&bearer),
        queries(&bearer),
        states(&bearer),
        patches(&bearer),
        changes(own_id, &bearer),
        headers(&bearer),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn get(to: To, path: impl AsRef<str>, headers: &[&[u8]], expected: Expected) -> Case {
    let path = path.as_ref();
    Case::new(format!("GET {path:.80}"), (to, "GET", path), (headers, b""), expected)
}

fn unknown() -> Vec<Case> {
    let long = format!("/{}", "a".repeat(30_000));
    let deep = "/a".repeat(10_000);
    let escaped = format!("/v1/{}", "%00".repeat(5_000));
    let paths = [
        "/",
        "/v1",
        "/v1/",
        "/v2/users",
        "//v1/users",
        "/v1//users",
        "/v1/users/",
        "/v1/users/../../etc/passwd",
        "/v1/users/me/",
        "/v1/users/me/..%2f..%2fetc",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/users;x=1",
        "/V1/Users",
        "/.git/config",
        "/.env",
        "/actuator/health",
        "/problems",
        "/problems/",
        "/problems/nothing",
        "/problems/%3Cscript%3E",
        "/problems/%00",
        "/problems/%ff",
        "/%",
        "/%zz",
        "/%E0%A4%A",
        "/v1/%ff%fe",
        &long,
        &deep,
        &escaped,
    ];
    let to_both = paths
        .into_iter()
        .flat_map(|path| [To::Users, To::Gateway].map(|to| get(to, path, &[], NOT_FOUND)));
    to_both.collect()
}

fn ids(own_id: &str, bearer: &[u8]) -> Vec<Case> {
    let bad = [
        "0",
        "-1",
        "9223372036854775808",
        "null",
        "undefined",
        "%00",
        "%ff%fe",
        "%0d%0aset-cookie:%20a=b",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "'%20OR%20'1'='1",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%F0%9F%91%A9",
        "01890000-0000-7000-8000-00000000000",
        "01890000-0000-7000-8000-0000000000000",
        "g1890000-0000-7000-8000-000000000000",
        "01890000-0000-7000-8000-000000000000%00",
        "%7B%7B7*7%7D%7D",
    ];
    let mut cases = Vec::new();
    let huge = "f".repeat(20_000);
    for id in bad.into_iter().chain([huge.as_str()]) {
        cases.push(get(To::Users, format!("/v1/users/{id}"), &[bearer], NOT_FOUND));
        cases.push(get(To::Users, format!("/v1/users/{id}"), &[], UNAUTHORIZED));
        cases.push(get(
            To::Gateway,
            format!("/v1/notifications/{id}"),
            &[bearer],
            NOT_FOUND,
        ));
        let deliveries = format!("/v1/notifications/{id}/deliveries");
        cases.push(get(To::Gateway, deliveries, &[bearer], NOT_FOUND));
    }
    let nil = "00000000-0000-0000-0000-000000000000";
    for id in [ELSEWHERE, nil, "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
        let forbidden = Problem(403, "forbidden");
        cases.push(get(To::Users, format!("/v1/users/{id}"), &[bearer], forbidden));
        cases.push(get(
            To::Gateway,
            format!("/v1/notifications/{id}"),
            &[bearer],
            NOT_FOUND,
        ));
    }
    cases.push(get(To::Users, format!("/v1/users/{own_id}"), &[bearer], Fine(200)));
    cases.push(get(
        To::Users,
        format!("/v1/users/{own_id}?x=%ff&&=&x"),
        &[bearer],
        Fine(200),
    ));
    cases
}

fn methods() -> Vec<Case> {
    let wrong: [(To, &str, &[&str]); 6] = [
        (
            To::Users,
            "/v1/users",
            &["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "get", "QUERY"],
        ),
        (To::Users, "/v1/users/me", &["POST", "PUT", "DELETE", "PROPFIND"]),
        (To::Users, "/v1/sessions", &["PUT", "TRACE", "M-SEARCH"]),
        (To::Gateway, "/v1/notifications", &["PUT", "DELETE", "TRACE", "BREW"]),
        (To::Gateway, "/v1/notifications/read-all", &["GET", "PUT", "PATCH"]),
        (To::Gateway, "/v1/notifications/stream", &["POST", "DELETE"]),
    ];
    let all = wrong.into_iter().flat_map(|(to, path, methods)| {
        methods
            .iter()
            .map(move |method| Case::new(format!("{method} {path}"), (to, method, path), (&[], b""), NOT_ALLOWED))
    });
    all.collect()
}

fn lists(bearer: &[u8]) -> Vec<Case> {
    let list = |query: &str, expected| get(To::Gateway, format!("/v1/notifications?{query}"), &[bearer], expected);
    let mut cases = Vec::new();
    let huge = "9".repeat(8_000);
    let cursors = [
        "x",
        "-1",
        "0",
        "1.5",
        "1e3",
        "0x10",
        "99999999999999999999",
        "%00",
        "'%20OR%201=1",
        "eyJpZCI6MX0=",
        &huge,
    ];
    for cursor in cursors {
        cases.push(list(&format!("cursor={cursor}"), Problem(400, "bad-cursor")));
    }
    cases.push(list("cursor=9223372036854775807", Fine(200)));
    for limit in [
        "0",
        "-1",
        "101",
        "1.5",
        "many",
        "",
        "%00",
        "99999999999999999999",
        "NaN",
        &huge,
    ] {
        cases.push(list(&format!("limit={limit}"), Field("/limit")));
    }
    for state in ["deleted", "unread;read", "%00", "'", "UNREAD", &huge] {
        cases.push(list(&format!("state={state}"), Field("/state")));
    }
    for query in [
        "limit=1&limit=2",
        "state=read&limit=1&state=unread",
        "cursor=1&cursor=2",
    ] {
        let field = match query.split('=').next() {
            Some("limit") => "/limit",
            Some("state") => "/state",
            _ => "/cursor",
        };
        cases.push(list(query, Field(field)));
    }
    for query in ["cursor=%ff", "state=%ff", "limit=%c0%80", "x=%ed%a0%80"] {
        cases.push(list(query, Problem(400, "bad-request")));
    }
    for query in ["&&&=&=x&", "%3D%26", "unknown=1", "state=,,,&limit=1"] {
        cases.push(list(query, Fine(200)));
    }
    cases
}

/// Queries about as long as one may be, wherever they stand.
fn queries(bearer: &[u8]) -> Vec<Case> {
    const LONGEST: usize = 8 * 1024;
    let too_long = Problem(414, "uri-too-long");
    let of = |start: &str, length: usize| format!("{start}{}", "x".repeat(length - start.len()));
    let mut cases = vec![
        get(
            To::Gateway,
            format!("/v1/notifications?{}", of("x=", LONGEST)),
            &[bearer],
            Fine(200),
        ),
        get(
            To::Gateway,
            format!("/v1/notifications?state={}", "read,".repeat(2_000)),
            &[bearer],
            too_long,
        ),
    ];
    let anywhere = [
        (To::Users, "/v1/users/me"),
        (To::Users, "/openapi.json"),
        (To::Users, "/nothing"),
        (To::Gateway, "/v1/notifications"),
        (To::Gateway, "/v1/notifications/stream"),
        (To::Gateway, "/docs"),
    ];
    for (to, path) in anywhere {
        let path = format!("{path}?{}", of("access_token=", LONGEST + 1));
        cases.push(get(to, &path, &[bearer], too_long));
        cases.push(get(to, &path, &[], too_long));
    }
    for (to, path) in [(To::Users, "/v1/users"), (To::Gateway, "/v1/callbacks/sms")] {
        let path = format!("{path}?{}", of("x=", LONGEST + 1));
        let name = format!("POST {path:.40}");
        cases.push(Case::new(name, (to, "POST", &path), (&[], b"{}"), too_long));
    }
    cases
}

fn states(bearer: &[u8]) -> Vec<Case> {
    let path = format!("/v1/notifications/{ELSEWHERE}");
    let headers: [&[u8]; 2] = [bearer, b"content-type: application/json"];
    let deep = format!(r#"{{"x":{}"#, "[".repeat(60_000));
    let bodies: [(&str, Expected); 12] = [
        (r#"{"state":"read"}"#, NOT_FOUND),
        (r#"{"state":"deleted"}"#, Field("/state")),
        (r#"{"state":"read\u0000"}"#, Field("/state")),
        (r#"{"state":1}"#, Field("/state")),
        (r#"{"state":null}"#, Field("/state")),
        (r#"{"state":{"read":null}}"#, Field("/state")),
        (r#"{"state":["read"]}"#, Field("/state")),
        (r#"{"state":"read","state":"unread"}"#, Field("/state")),
        ("{}", Field("/state")),
        ("[]", Field("")),
        ("{", Problem(400, "malformed-json")),
        (&deep, Problem(400, "malformed-json")),
    ];
    bodies
        .into_iter()
        .map(|(body, expected)| {
            let name = format!("PATCH a notification with {body:.40}");
            Case::new(
                name,
                (To::Gateway, "PATCH", &path),
                (&headers, body.as_bytes()),
                expected,
            )
        })
        .collect()
}

/// Changes that fail before the state is looked at.
fn patches(bearer: &[u8]) -> Vec<Case> {
    let path = format!("/v1/notifications/{ELSEWHERE}");
    let headers: [&[u8]; 2] = [bearer, b"content-type: application/json"];
    let mut cases = Vec::new();
    let change = |name: &str, headers: &[&[u8]], body: &[u8], expected| {
        Case::new(name, (To::Gateway, "PATCH", &path), (headers, body), expected)
    };
    let huge = vec![b' '; 1024 * 1024];
    cases.push(change(
        "PATCH with bad UTF-8",
        &headers,
        b"{\"state\":\"\xff\"}",
        Problem(400, "malformed-json"),
    ));
    cases.push(change(
        "PATCH with a megabyte",
        &headers,
        &huge,
        Problem(413, "too-large"),
    ));
    cases.push(change(
        "PATCH with a megabyte and no token",
        &headers[1..],
        &huge,
        UNAUTHORIZED,
    ));
    cases.push(change(
        "PATCH with a form",
        &[bearer],
        b"state=read",
        Problem(415, "unsupported-media-type"),
    ));
    let read_all = (To::Gateway, "POST", "/v1/notifications/read-all");
    cases.push(Case::new(
        "read-all with a body",
        read_all,
        (&headers, b"\0\xff{[["),
        Fine(204),
    ));
    cases
}

/// Patches of an account, and what each is answered with.
fn bodies_of_changes() -> Vec<(String, Expected)> {
    let nested = |name: &str, levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"{name}":{open}1{close}}}"#)
    };
    let many: Vec<String> = (0..6000).map(|n| format!(r#""f{n:04}":0"#)).collect();
    vec![
        ("{}".to_owned(), Fine(200)),
        ("[]".to_owned(), Field("")),
        ("{".to_owned(), Problem(400, "malformed-json")),
        (r#"{"name":"A\u0000"}"#.to_owned(), Field("/name")),
        (r#"{"name":null}"#.to_owned(), Field("/name")),
        (r#"{"phone":"+1\u0000"}"#.to_owned(), Field("/phone")),
        (r#"{"phone":{"$ne":null}}"#.to_owned(), Field("/phone")),
        (r#"{"phone":null,"phone":null}"#.to_owned(), Field("/phone")),
        (r#"{"__proto__":{"roles":["admin"]}}"#.to_owned(), Field("/__proto__")),
        (r#"{"roles":["admin"]}"#.to_owned(), Field("/roles")),
        (nested("name", 20_000), Field("/name")),
        // No further than the reader's own bound.
        (nested("x", 20_000), Problem(400, "malformed-json")),
        (format!("{{{}}}", many.join(",")), Field("/f0000")),
    ]
}

/// Changes of an account that change nothing, for one reason or another.
fn changes(own_id: &str, bearer: &[u8]) -> Vec<Case> {
    let path = format!("/v1/users/{own_id}");
    let content: &[u8] = b"content-type: application/merge-patch+json";
    let change = |name: String, headers: &[&[u8]], body: &[u8], expected| {
        let name = format!("PATCH an account, {name}");
        Case::new(name, (To::Users, "PATCH", &path), (headers, body), expected)
    };
    let bodies = bodies_of_changes();
    let mut cases: Vec<Case> = bodies
        .iter()
        .map(|(body, expected)| {
            change(
                format!("{body:.40}"),
                &[bearer, content, b"if-match: *"],
                body.as_bytes(),
                *expected,
            )
        })
        .collect();
    let bad_request = Problem(400, "bad-request");
    let conditions: [(&[u8], Expected); 8] = [
        (b"x-nothing: 1", Problem(428, "precondition-required")),
        (b"if-match:", bad_request),
        (b"if-match: 1", bad_request),
        (b"if-match: \"", bad_request),
        (b"if-match: \xff", bad_request),
        (b"if-match: *, *", bad_request),
        (b"if-match: \"\xff\"", Problem(412, "precondition-failed")),
        (b"if-match: W/\"1\",,\"\"", Problem(412, "precondition-failed")),
    ];
    for (header, expected) in conditions {
        let name = String::from_utf8_lossy(header).into_owned();
        cases.push(change(name, &[bearer, content, header], b"{}", expected));
    }
    let tags = format!("if-match: {}", r#""a","#.repeat(10_000)).into_bytes();
    let overtaken = Problem(412, "precondition-failed");
    cases.push(change(
        "ten thousand tags".to_owned(),
        &[bearer, content, &tags],
        b"{}",
        overtaken,
    ));
    cases.push(change("no token".to_owned(), &[content], b"{", UNAUTHORIZED));
    cases
}

fn headers(bearer: &[u8]) -> Vec<Case> {
    let odd: [&[u8]; 12] = [
        b"traceparent: garbage",
        b"traceparent: 00-00000000000000000000000000000000-0000000000000000-01",
        b"traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"traceparent: \xff\xfe",
        b"if-none-match: \"\xff",
        b"if-none-match: W/W/\"1\",,\"",
        b"accept: \xff, */*;q=nothing",
        b"accept-encoding: gzip;q=-1, \xff",
        b"user-agent: \xff\xc0\x80",
        b"cookie: \xff=\xff; =; ;;;",
        b"last-event-id: 99999999999999999999",
        b"x-forwarded-for: ', \xff, [::1",
    ];
    let mut cases = Vec::new();
    for header in odd {
        cases.push(get(To::Users, "/v1/users/me", &[bearer, header], Fine(200)));
        cases.push(get(To::Gateway, "/v1/notifications", &[bearer, header], Fine(200)));
        cases.push(get(To::Users, "/v1/users/me", &[header], UNAUTHORIZED));
    }
    let long = format!("x-long: {}", "a".repeat(50_000)).into_bytes();
    cases.push(get(To::Users, "/v1/users/me", &[bearer, &long], Fine(200)));
    let state = format!("tracestate: {}", "a=b,".repeat(10_000)).into_bytes();
    cases.push(get(To::Users, "/v1/users/me", &[bearer, &state], Fine(200)));
    cases
}
