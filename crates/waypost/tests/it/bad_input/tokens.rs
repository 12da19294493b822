//! Tokens that nobody issued, or that are over.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use common::http::KeyPair;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use test_support::TestDatabase;

use super::case::Expected::{self, Fine, Problem};
use super::case::{Case, To};

const UNAUTHORIZED: Expected = Problem(401, "unauthorized");
/// Of the query, which is looked at before what is in it.
const TOO_LONG: Expected = Problem(414, "uri-too-long");

/// Signs what it is told to, with the system's own key: then it is the claims alone that are wrong.
pub(super) struct Forge {
    key_id: String,
    own: EncodingKey,
    public: Vec<u8>,
    stranger: EncodingKey,
    user_id: String,
    good: String,
}

impl Forge {
    pub(super) async fn with_keys_of(database: &TestDatabase, user_id: &str, good: &str) -> Self {
        let connection = database.connect().await;
        let select = "SELECT id, private_key, public_key FROM user_api.signing_keys";
        let statement = Statement::from_string(connection.get_database_backend(), select);
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        let private: Vec<u8> = row.try_get("", "private_key").unwrap();
        Self {
            key_id: row.try_get("", "id").unwrap(),
            own: KeyPair::read(&private).unwrap().signing().unwrap(),
            public: row.try_get("", "public_key").unwrap(),
            stranger: KeyPair::of([7; 32]).signing().unwrap(),
            user_id: user_id.to_owned(),
            good: good.to_owned(),
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": "waypost", "aud": "waypost", "sub": self.user_id, "sid": self.user_id,
            "roles": [], "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
        })
    }

    /// Signed by the right key, with one claim changed; null leaves it out.
    fn with_claim(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[claim] = value;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        sign(&self.header(Algorithm::EdDSA), &claims, &self.own)
    }

    fn header(&self, algorithm: Algorithm) -> Header {
        Header {
            kid: Some(self.key_id.clone()),
            ..Header::new(algorithm)
        }
    }

    /// A header of one's own making, with the signature of another token behind it.
    fn with_header(&self, header: &Value, signature: &str) -> String {
        let header = BASE64.encode(header.to_string());
        let claims = BASE64.encode(self.claims().to_string());
        format!("{header}.{claims}.{signature}")
    }

    fn signature(&self) -> &str {
        self.good.rsplit('.').next().unwrap_or_default()
    }
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).unwrap()
}

pub(super) fn cases(forge: &Forge) -> Vec<Case> {
    let mut cases = Vec::new();
    let forged = forged(forge).into_iter().chain(keys(forge)).chain(claims(forge));
    for (name, token) in forged {
        let header = [b"authorization: Bearer ".as_slice(), &token].concat();
        cases.extend(both(name, &[&header], UNAUTHORIZED));
        if token.iter().all(u8::is_ascii_graphic) {
            let path = format!(
                "/v1/notifications/stream?access_token={}",
                String::from_utf8_lossy(&token)
            );
            let stream = (To::Gateway, "GET", path.as_str());
            let expected = if token.len() > 8 * 1024 { TOO_LONG } else { UNAUTHORIZED };
            cases.push(Case::new(format!("a stream, {name}"), stream, (&[], b""), expected));
        }
    }
    let good = forge.good.as_bytes();
    let header = |before: &[u8], after: &[u8]| [b"authorization: ".as_slice(), before, good, after].concat();
    let refused: [(&str, Vec<u8>); 8] = [
        ("no header", b"x-nothing: 1".to_vec()),
        ("an empty header", b"authorization:".to_vec()),
        ("a scheme alone", b"authorization: Bearer".to_vec()),
        ("a scheme and blanks", b"authorization: Bearer    ".to_vec()),
        ("a token alone", header(b"", b"")),
        ("another scheme", header(b"Basic ", b"")),
        ("two tokens", header(b"Bearer ", &[b", ".as_slice(), good].concat())),
        ("a scheme that is no text", header(b"\xff ", b"")),
    ];
    for (name, header) in &refused {
        cases.extend(both(name, &[header], UNAUTHORIZED));
    }
    cases.extend(both(
        "a scheme in other letters",
        &[&header(b"bEARER ", b"")],
        Fine(200),
    ));
    let query = format!("/v1/notifications?access_token={}", forge.good);
    let list = (To::Gateway, "GET", query.as_str());
    cases.push(Case::new(
        "a token in the query of a list",
        list,
        (&[], b""),
        UNAUTHORIZED,
    ));
    cases
}

fn both(name: &str, headers: &[&[u8]], expected: Expected) -> [Case; 2] {
    [(To::Users, "/v1/users/me"), (To::Gateway, "/v1/notifications")]
        .map(|(to, path)| Case::new(format!("token: {name}"), (to, "GET", path), (headers, b""), expected))
}

/// Tokens that the system's key has not signed, by their form.
fn forged(forge: &Forge) -> Vec<(&'static str, Vec<u8>)> {
    let (good, signature) = (forge.good.as_str(), forge.signature());
    let body = good.rsplit_once('.').map_or("", |(body, _)| body);
    let header = |header: Value, signature: &str| forge.with_header(&header, signature);
    let key_id = &forge.key_id;
    let tokens = [
        ("garbage", "garbage".to_owned()),
        ("dots", "...".to_owned()),
        ("two parts", body.to_owned()),
        ("no signature", format!("{body}.")),
        ("four parts", format!("{good}.{signature}")),
        ("its signature cut", good[..good.len() - 4].to_owned()),
        ("another's signature", format!("{body}.{}", "A".repeat(86))),
        (
            "other claims",
            header(json!({"alg": "EdDSA", "kid": key_id}), signature),
        ),
        ("alg none", header(json!({"alg": "none", "kid": key_id}), "")),
        (
            "alg None, signed",
            header(json!({"alg": "None", "kid": key_id}), signature),
        ),
        ("no alg", header(json!({"kid": key_id}), signature)),
        (
            "deep arrays",
            format!("{}.e30.{signature}", BASE64.encode("[".repeat(2000))),
        ),
        ("60,000 letters", "a".repeat(60_000)),
    ];
    let mut tokens: Vec<_> = tokens.map(|(name, token)| (name, token.into_bytes())).into();
    tokens.push(("bytes that are no text", b"\xff\xfe\xfd".to_vec()));
    tokens
}

/// Tokens that the system's key has not signed, by the key that they name.
fn keys(forge: &Forge) -> Vec<(&'static str, Vec<u8>)> {
    let hmac = EncodingKey::from_secret(&forge.public);
    let named = |mut header: Value| {
        header["alg"] = json!("EdDSA");
        forge.with_header(&header, forge.signature())
    };
    let by = |header: &Header, key: &EncodingKey| sign(header, &forge.claims(), key);
    let eddsa = forge.header(Algorithm::EdDSA);
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"});
    let tokens = [
        ("HMAC with the public key", by(&forge.header(Algorithm::HS256), &hmac)),
        ("a wrong key, the right id", by(&eddsa, &forge.stranger)),
        ("nobody's key", by(&Header::new(Algorithm::EdDSA), &forge.stranger)),
        ("a key id that is a path", named(json!({"kid": "../../../dev/null"}))),
        ("a key id that is SQL", named(json!({"kid": "' UNION SELECT 'x"}))),
        ("a key id that is a number", named(json!({"kid": 1}))),
        ("a key id of 3000 letters", named(json!({"kid": "k".repeat(3000)}))),
        ("a key of its own", named(json!({"jwk": own}))),
        ("a key from elsewhere", named(json!({"jku": "http://127.0.0.1:1/"}))),
    ];
    tokens.map(|(name, token)| (name, token.into_bytes())).into()
}

/// Tokens that the system's key has signed, and that say something wrong.
fn claims(forge: &Forge) -> Vec<(&'static str, Vec<u8>)> {
    let tokens = [
        ("expired", forge.with_claim("exp", json!(1_700_000_600))),
        ("expired in 1970", forge.with_claim("exp", json!(0))),
        ("expired before time", forge.with_claim("exp", json!(i64::MIN))),
        ("no end", forge.with_claim("exp", Value::Null)),
        ("an end that is text", forge.with_claim("exp", json!("4000000000"))),
        ("an end beyond numbers", forge.with_claim("exp", json!(1e300))),
        ("another issuer", forge.with_claim("iss", json!("somebody"))),
        ("no issuer", forge.with_claim("iss", Value::Null)),
        ("another audience", forge.with_claim("aud", json!("somebody"))),
        ("no audience", forge.with_claim("aud", Value::Null)),
        ("nobody's", forge.with_claim("sub", Value::Null)),
        ("a person that is no id", forge.with_claim("sub", json!("' OR 1=1"))),
        ("a person that is a list", forge.with_claim("sub", json!([]))),
        ("no session", forge.with_claim("sid", Value::Null)),
        ("roles that are text", forge.with_claim("roles", json!("admin"))),
    ];
    tokens.map(|(name, token)| (name, token.into_bytes())).into()
}
