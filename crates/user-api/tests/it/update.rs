//! `PATCH /v1/users/{id}`

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_support::eventually;
use uuid::Uuid;

use crate::test_app::{Answer, SOON, TestApp, ada, on_both, tag};

on_both!(
    what_a_person_changes_is_answered_and_read_at_once,
    each_member_is_set_removed_or_left_as_it_is,
    a_patch_that_changes_nothing_makes_no_version_and_no_event,
    the_event_tells_the_whole_person_behind_the_one_before,
    nothing_is_changed_when_the_event_can_t_be_written,
    of_many_changes_of_one_version_one_succeeds,
    the_version_must_be_the_one_that_was_seen,
    who_was_overtaken_reads_what_stands_there_at_once,
    an_account_that_is_gone_is_not_found,
);

/// Somebody who is signed up, and what a change of them needs.
struct Someone {
    app: TestApp,
    id: String,
    token: String,
}

impl Someone {
    async fn in_app(app: TestApp) -> Self {
        let (id, token) = app.ada_logged_in().await;
        Self { app, id, token }
    }

    /// Changes what stands there in this version.
    async fn change(&self, version: u32, patch: &Value) -> Answer {
        self.change_if(&tag(&self.id, version), patch).await
    }

    async fn change_if(&self, etag: &str, patch: &Value) -> Answer {
        self.app.change_user((&self.id, &self.token), etag, patch).await
    }

    async fn read(&self) -> Answer {
        self.app.read_user(&self.id, &self.token).await
    }

    /// A change with these headers and this body, whatever they are.
    async fn send(&self, id: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let send = self.app.send(|client| {
            let request = client.patch(self.app.url(&format!("/v1/users/{id}")));
            let request = headers
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value));
            request.body(body.to_owned())
        });
        send.await
    }

    /// What is wrong with a patch, member by member.
    async fn violations(&self, patch: &Value) -> BTreeMap<String, String> {
        let answer = self.change_if("*", patch).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (422, "validation"),
            "{patch}"
        );
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors
            .iter()
            .map(|error| (text(&error["pointer"]), text(&error["code"])))
            .collect()
    }
}

async fn what_a_person_changes_is_answered_and_read_at_once(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let before = ada.read().await.json();
    let changed = ada.change(1, &json!({"name": "Ada King", "phone": "+15550100"})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.header("etag"), tag(&ada.id, 2));
    assert_eq!(changed.header("cache-control"), "private, no-cache");
    assert_eq!(changed.header("content-type"), "application/json");
    let mut expected = before;
    expected["name"] = json!("Ada King");
    expected["phone"] = json!("+15550100");
    expected["version"] = json!(2);
    expected["updated_at"] = changed.json()["updated_at"].clone();
    assert_eq!(changed.json(), expected);
    assert!(
        expected["updated_at"].as_str() > expected["created_at"].as_str(),
        "{expected}"
    );
    let read = ada.read().await;
    assert_eq!(
        (read.text.as_str(), read.header("etag")),
        (changed.text.as_str(), &*tag(&ada.id, 2))
    );
    let unless = ada.app.read_user_unless(&ada.id, &ada.token, &tag(&ada.id, 1)).await;
    assert_eq!(unless.status, 200);
}

async fn each_member_is_set_removed_or_left_as_it_is(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let steps = [
        (json!({"phone": null}), "phone", json!(null)),
        (json!({"time_zone": null}), "time_zone", json!(null)),
        (
            json!({"time_zone": "asia/shanghai"}),
            "time_zone",
            json!("Asia/Shanghai"),
        ),
        (json!({"phone": "+15550100"}), "phone", json!("+15550100")),
        (json!({"locale": null}), "locale", json!("en")),
        (json!({"locale": "zh_hant_tw"}), "locale", json!("zh-Hant-TW")),
        (json!({"locale": "tlh"}), "locale", json!("en")),
        (json!({"name": " 王小明 "}), "name", json!("王小明")),
    ];
    let mut before = ada.read().await.json();
    for (version, (patch, member, value)) in (1..).zip(steps) {
        let answer = ada.change(version, &patch).await;
        assert_eq!(answer.status, 200, "{patch}: {}", answer.text);
        before[member] = value;
        before["version"] = json!(version + 1);
        before["updated_at"] = answer.json()["updated_at"].clone();
        assert_eq!(answer.json(), before, "{patch}");
    }
    assert_eq!(ada.read().await.json(), before);
}

async fn a_patch_that_changes_nothing_makes_no_version_and_no_event(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let before = ada.read().await;
    for patch in [
        json!({}),
        json!({"name": "Ada Lovelace", "locale": "zh-CN", "phone": "+447700900123", "time_zone": "Europe/London"}),
        json!({"name": " Ada Lovelace ", "time_zone": "europe/london"}),
    ] {
        let answer = ada.change(1, &patch).await;
        assert_eq!(
            (answer.status, answer.header("etag")),
            (200, &*tag(&ada.id, 1)),
            "{patch}"
        );
        assert_eq!(answer.json(), before.json(), "{patch}");
    }
    assert_eq!(ada.app.count("outbox").await, 1);
    // It must be the version that was seen all the same.
    assert_eq!(ada.change(2, &json!({})).await.status, 412);
}

async fn the_event_tells_the_whole_person_behind_the_one_before(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let headers = [
        ("authorization", format!("Bearer {}", ada.token)),
        ("if-match", tag(&ada.id, 1)),
        ("content-type", "application/json".to_owned()),
        ("traceparent", format!("00-{trace}-b7ad6b7169203331-00")),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let user = ada
        .send(&ada.id, &headers, r#"{"phone":null,"name":"Ada King"}"#)
        .await
        .json();
    assert_eq!(user["version"], 2);
    // Nobody consumes here, so that both rows stay.
    assert_eq!(ada.app.count("outbox").await, 2);
    let last = "FROM outbox ORDER BY id DESC LIMIT 1";
    let body: Vec<u8> = ada.app.query(&format!("SELECT body {last}"), "body").await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    let expected = json!({
        "user_id": ada.id, "version": 2, "email": "Ada@example.com", "name": "Ada King",
        "locale": "zh-CN", "time_zone": "Europe/London", "status": "active",
    });
    assert_eq!(event, expected);
    let headers: Value = ada.app.query(&format!("SELECT headers {last}"), "headers").await;
    assert!(headers["traceparent"].as_str().unwrap().contains(trace), "{headers}");
    assert_eq!(headers["cloudEvents_type"], "user.updated.v1");
    assert_eq!(headers["cloudEvents_subject"], user["id"]);
}

async fn nothing_is_changed_when_the_event_can_t_be_written(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let before = ada.read().await.json();
    ada.app.execute("DELETE FROM outbox").await;
    ada.app
        .execute("ALTER TABLE outbox ADD COLUMN refused INTEGER CHECK (refused IS NOT NULL)")
        .await;
    let patch = json!({"name": "Ada King"});
    let answer = ada.change(1, &patch).await;
    assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
    assert!(!answer.text.contains("outbox"), "{}", answer.text);
    assert_eq!(ada.app.query::<i64>("SELECT version FROM users", "version").await, 1);
    assert_eq!(ada.read().await.json(), before);
    ada.app.execute("ALTER TABLE outbox DROP COLUMN refused").await;
    assert_eq!(ada.change(1, &patch).await.status, 200);
}

async fn of_many_changes_of_one_version_one_succeeds(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let patches: Vec<_> = (0..20).map(|n| json!({"name": format!("Ada {n}")})).collect();
    let answers = futures_util::future::join_all(patches.iter().map(|patch| ada.change(1, patch))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    // Whoever waited for the row for too long was told so, and hears the same at the next try.
    let again = json!({"name": "Ada again"});
    for answer in lost {
        match answer.status {
            503 => assert_eq!(ada.change(1, &again).await.status, 412),
            _ => assert_eq!((answer.status, answer.problem().as_str()), (412, "precondition-failed")),
        }
    }
    assert_eq!(ada.read().await.text, won[0].text);
    assert_eq!(ada.app.query::<i64>("SELECT version FROM users", "version").await, 2);
    assert_eq!(ada.app.count("outbox").await, 2);
}

async fn the_version_must_be_the_one_that_was_seen(app: TestApp) {
    let ada = Someone::in_app(app).await;
    let current = tag(&ada.id, 1);
    let patch = json!({"name": "Ada King"});
    let somebody = tag(&Uuid::now_v7().to_string(), 1);
    for etag in [&*tag(&ada.id, 2), &somebody, &format!("W/{current}"), "\"\"", "\"1\""] {
        let answer = ada.change_if(etag, &patch).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (412, "precondition-failed"),
            "{etag}"
        );
    }
    for etag in [
        "",
        " , ",
        "1",
        current.trim_matches('"'),
        &format!("*, {current}"),
        &format!("{current} x"),
    ] {
        let answer = ada.change_if(etag, &patch).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "bad-request"),
            "{etag}"
        );
    }
    let authorization = format!("Bearer {}", ada.token);
    let headers = [("authorization", &*authorization), ("content-type", "application/json")];
    let without = ada.send(&ada.id, &headers, &patch.to_string()).await;
    assert_eq!(
        (without.status, without.problem().as_str()),
        (428, "precondition-required")
    );
    assert_eq!(ada.read().await.json()["version"], 1);
    assert_eq!(ada.app.count("outbox").await, 1);
    for (etag, name) in [(format!("\"7\", {current}"), "Ada King"), ("*".to_owned(), "Ada L.")] {
        let answer = ada.change_if(&etag, &json!({"name": name})).await;
        assert_eq!((answer.status, &answer.json()["name"]), (200, &json!(name)), "{etag}");
    }
}

async fn who_was_overtaken_reads_what_stands_there_at_once(app: TestApp) {
    let ada = Someone::in_app(app).await;
    assert_eq!(ada.read().await.json()["version"], 1);
    // By a change whose process ended before it told the cache.
    ada.app.execute("UPDATE users SET name = 'Ada King', version = 2").await;
    assert_eq!(ada.change(1, &json!({"name": "Ada L."})).await.status, 412);
    let read = ada.read().await;
    assert_eq!(
        (&read.json()["name"], read.header("etag")),
        (&json!("Ada King"), &*tag(&ada.id, 2))
    );
    assert_eq!(ada.change(2, &json!({"name": "Ada L."})).await.status, 200);
}

async fn an_account_that_is_gone_is_not_found(app: TestApp) {
    let ada = Someone::in_app(app).await;
    ada.app.execute("DELETE FROM users").await;
    for etag in ["*", &*tag(&ada.id, 1)] {
        let answer = ada.change_if(etag, &json!({"name": "Ada King"})).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{etag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_read_at_once_with_and_without_a_layer_in_process() {
    let with = (TestApp::start().await, "waypost-l1; hit");
    let without = (TestApp::start_without_a_layer_in_process().await, "waypost-redis; hit");
    for (app, layer) in [with, without] {
        let ada = Someone::in_app(app).await;
        for version in 1..5 {
            let changed = ada.change(version, &json!({"name": format!("Ada {version}")})).await;
            assert_eq!(changed.status, 200, "{}", changed.text);
            let read = ada.read().await;
            assert!(
                read.header("cache-status").starts_with(layer),
                "{}",
                read.header("cache-status")
            );
            assert_eq!(read.text, changed.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_follows_within_the_life_of_its_layer_in_process() {
    let ada = Someone::in_app(TestApp::start().await).await;
    let replica = ada.app.replica().await;
    let version = async || replica.read_user(&ada.id, &ada.token).await.json()["version"].clone();
    assert_eq!(version().await, 1);
    assert_eq!(ada.change(1, &json!({"phone": null})).await.status, 200);
    eventually(SOON, async || version().await == 2).await;
    let answer = replica
        .change_user((&ada.id, &ada.token), &tag(&ada.id, 1), &json!({}))
        .await;
    assert_eq!(answer.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_somebody_else() {
    let ada = Someone::in_app(TestApp::start_embedded().await).await;
    let mut bob = self::ada();
    bob["email"] = "bob@example.com".into();
    let bob = ada.app.sign_up(&bob).await.json()["id"].as_str().unwrap().to_owned();
    let authorization = format!("Bearer {}", ada.token);
    let bearer = ("authorization", &*authorization);
    // Whether the account exists makes no difference, nor does what else is wrong.
    for id in [&bob, &Uuid::now_v7().to_string()] {
        let answer = ada
            .app
            .change_user((id, &ada.token), "*", &json!({"name": "Eve"}))
            .await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"));
        let answer = ada.send(id, &[bearer], "{").await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"));
    }
    let answer = ada.send("not-an-id", &[bearer], "{}").await;
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"));
    let answer = ada.send(&ada.id, &[("if-match", "*")], "{}").await;
    assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"));
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert_eq!(ada.app.count("outbox").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_breaks_a_rule_is_named_at_once() {
    let ada = Someone::in_app(TestApp::start_embedded().await).await;
    let patch = json!({
        "name": null, "locale": 1, "phone": "015112345678", "time_zone": "Mars/Olympus",
        "email": "eve@example.com", "roles": ["admin"], "id": 7, "a/b~c": {"d": [null]}, "": 1,
    });
    let expected = [
        ("/name", "required"),
        ("/locale", "type"),
        ("/phone", "invalid-phone"),
        ("/time_zone", "unknown-time-zone"),
        ("/email", "read-only"),
        ("/roles", "read-only"),
        ("/id", "read-only"),
        ("/a~1b~0c", "unknown"),
        ("/", "unknown"),
    ];
    let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned()));
    assert_eq!(ada.violations(&patch).await, expected.into());
    for member in ada.read().await.json().as_object().unwrap().keys() {
        let named = ada.violations(&json!({member.as_str(): [1]})).await;
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(named.contains_key(&format!("/{member}")), "{named:?}");
    }
    assert_eq!(ada.read().await.json()["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_read_is_refused_by_its_kind() {
    let ada = Someone::in_app(TestApp::start_embedded().await).await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    let patch = "application/merge-patch+json";
    let cases = [
        (patch, "{", 400, "malformed-json"),
        (patch, "", 400, "malformed-json"),
        (patch, r#"{"name":"\ud83d"}"#, 400, "malformed-json"),
        (patch, "[]", 422, "validation"),
        (patch, "null", 422, "validation"),
        (patch, r#""Ada""#, 422, "validation"),
        (patch, r#"{"name":"A","name":"B"}"#, 422, "validation"),
        (patch, &large, 413, "too-large"),
        ("application/json-patch+json", "[]", 415, "unsupported-media-type"),
        ("text/plain", "{}", 415, "unsupported-media-type"),
        ("", "{}", 415, "unsupported-media-type"),
        ("Application/Merge-Patch+JSON; charset=utf-8", "{}", 200, ""),
        ("application/json", "{}", 200, ""),
    ];
    let authorization = format!("Bearer {}", ada.token);
    for (content_type, body, status, slug) in cases {
        let headers = [
            ("authorization", &*authorization),
            ("if-match", "*"),
            ("content-type", content_type),
        ];
        let answer = ada.send(&ada.id, &headers, body).await;
        assert_eq!(answer.status, status, "{content_type} {body:.40}");
        if status != 200 {
            assert_eq!(answer.problem(), slug, "{content_type} {body:.40}");
        }
    }
    assert_eq!(ada.read().await.json()["version"], 1);
}
