//! `POST /v1/users`

use serde_json::{Value, json};

use crate::test_app::{TestApp, ada, on_both};

on_both!(
    a_person_signs_up_and_gets_their_whole_account,
    what_is_left_out_is_null_or_has_its_default,
    what_is_left_empty_is_not_given,
    a_domain_of_another_script_and_its_a_label_are_one_account,
    the_event_is_in_the_outbox_under_the_caller_s_trace,
    a_used_address_is_refused_in_any_case,
    of_many_sign_ups_with_one_address_one_succeeds,
    nothing_is_half_written_when_the_event_can_t_be,
    a_password_is_kept_as_an_argon2id_hash_only,
);

async fn a_person_signs_up_and_gets_their_whole_account(app: TestApp) {
    let answer = app.sign_up(&ada()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    assert_eq!(answer.header("location"), format!("/v1/users/{id}"));
    let id = answer.json()["id"].as_str().unwrap().replace('-', "");
    assert_eq!(answer.header("etag"), format!("\"{id}-1\""));
    assert_eq!(answer.header("content-type"), "application/json");
    insta::assert_json_snapshot!("signed_up", answer.snapshot());
}

async fn what_is_left_out_is_null_or_has_its_default(app: TestApp) {
    let least =
        json!({"email": "bob@example.com", "name": " 王小明 ", "password": "12345678", "phone": null, "locale": "tlh"});
    let answer = app.sign_up(&least).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let user = answer.json();
    assert_eq!((&user["name"], &user["locale"]), (&json!("王小明"), &json!("en")));
    assert_eq!((&user["phone"], &user["time_zone"]), (&Value::Null, &Value::Null));
}

async fn what_is_left_empty_is_not_given(app: TestApp) {
    let form = json!({"email": " bob@example.com ", "name": "\u{202e}Bob\u{202c}", "password": "12345678",
                      "phone": "", "time_zone": " ", "locale": ""});
    let answer = app.sign_up(&form).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let user = answer.json();
    assert_eq!(
        (&user["email"], &user["name"]),
        (&json!("bob@example.com"), &json!("Bob"))
    );
    assert_eq!((&user["phone"], &user["time_zone"]), (&Value::Null, &Value::Null));
    assert_eq!(user["locale"], "en");
    assert_eq!(app.log_in("\u{a0}BOB@example.com ", "12345678").await.status, 201);
}

async fn a_domain_of_another_script_and_its_a_label_are_one_account(app: TestApp) {
    let person = |email: &str| json!({"email": email, "name": "Ada", "password": "12345678"});
    let answer = app.sign_up(&person("ada@bücher.example")).await;
    assert_eq!(
        (answer.status, &answer.json()["email"]),
        (201, &json!("ada@xn--bcher-kva.example"))
    );
    for same in [
        "ada@xn--bcher-kva.example",
        "ada@BÜCHER.example",
        "ada@bu\u{308}cher.example",
    ] {
        let again = app.sign_up(&person(same)).await;
        assert_eq!((again.status, again.problem().as_str()), (409, "email-taken"), "{same}");
        assert_eq!(app.log_in(same, "12345678").await.status, 201, "{same}");
    }
}

async fn the_event_is_in_the_outbox_under_the_caller_s_trace(app: TestApp) {
    // Nobody consumes here, so the memory broker confirms nothing and the row stays. Flag 00: no span
    // is made, and the caller's context travels all the same.
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let answer = app
        .send(|client| {
            let request = client.post(app.url("/v1/users")).json(&ada());
            request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-00"))
        })
        .await;
    assert_eq!(answer.status, 201);
    let user = answer.json();
    let body: Vec<u8> = app.query("SELECT body FROM outbox", "body").await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&event["user_id"], &event["version"]), (&user["id"], &json!(1)));
    for field in ["email", "name", "locale", "phone", "time_zone", "status"] {
        assert_eq!(event[field], user[field], "{field}");
    }
    let headers: Value = app.query("SELECT headers FROM outbox", "headers").await;
    assert!(headers["traceparent"].as_str().unwrap().contains(trace), "{headers}");
    assert_eq!(headers["cloudEvents_type"], "user.registered.v1");
    assert_eq!(headers["cloudEvents_subject"], user["id"]);
}

async fn a_used_address_is_refused_in_any_case(app: TestApp) {
    assert_eq!(app.sign_up(&ada()).await.status, 201);
    for email in ["Ada@example.com", "ADA@EXAMPLE.COM"] {
        let mut again = ada();
        again["email"] = json!(email);
        let answer = app.sign_up(&again).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "email-taken"));
        insta::assert_json_snapshot!("email_taken", answer.snapshot());
    }
    assert_eq!((app.count("users").await, app.count("outbox").await), (1, 1));
}

async fn of_many_sign_ups_with_one_address_one_succeeds(app: TestApp) {
    let body = ada();
    let answers = futures_util::future::join_all((0..20).map(|_| app.sign_up(&body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
    assert_eq!((app.count("users").await, app.count("outbox").await), (1, 1));
}

async fn nothing_is_half_written_when_the_event_can_t_be(app: TestApp) {
    app.execute("ALTER TABLE outbox ADD COLUMN refused INTEGER CHECK (refused IS NOT NULL)")
        .await;
    let answer = app.sign_up(&ada()).await;
    assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
    assert!(!answer.text.contains("outbox"), "{}", answer.text);
    assert_eq!(app.count("users").await, 0);
    app.execute("ALTER TABLE outbox DROP COLUMN refused").await;
    assert_eq!(app.sign_up(&ada()).await.status, 201);
}

async fn a_password_is_kept_as_an_argon2id_hash_only(app: TestApp) {
    let answer = app.sign_up(&ada()).await;
    assert!(!answer.text.contains("correct horse"));
    assert!(!answer.text.contains("password"));
    let hash: String = app.query("SELECT password_hash FROM users", "password_hash").await;
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
}
