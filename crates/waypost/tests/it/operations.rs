//! `waypost breakers` against services that run.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::{Folder, Port, ProcessBuilder, Span};

use crate::client::PATIENCE;
use crate::embedded::Embedded;
use crate::stack::run;

const TOKEN: &str = "correct-horse-battery";

/// Runs `waypost breakers` with these arguments to its end: its exit code, and all that it said.
async fn breakers(environment: &[(String, String)], arguments: &str) -> (Option<i32>, String) {
    let folder = Folder::create();
    let command = run("waypost", environment).arg("breakers").folder(folder.path());
    let mut command = arguments.split_whitespace().fold(command, ProcessBuilder::arg).spawn();
    let status = command.exit(PATIENCE).await;
    (status.code(), command.output())
}

/// The lines that are JSON objects.
fn objects(output: &str) -> Vec<Value> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Who did something, why, and in which trace, the newest first.
async fn audit(service: &str) -> Vec<[String; 3]> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{service}/operations/audit")).bearer_auth(TOKEN);
    let list: Value = request.send().await.unwrap().json().await.unwrap();
    let lines = list["items"].as_array().unwrap().iter();
    let parts = |line: &Value| ["who", "reason", "trace_id"].map(|name| line[name].as_str().unwrap().to_owned());
    lines.map(parts).collect()
}

fn with_token() -> Embedded {
    let mut embedded = Embedded::prepare();
    embedded.settings = vec![("WAYPOST__OPERATIONS__TOKEN".to_owned(), TOKEN.to_owned())];
    embedded
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_every_breaker_and_sets_one_from_the_command_line() {
    let embedded = with_token();
    let mut process = embedded.start().await;
    let environment = embedded.environment();

    let (code, shown) = breakers(&environment, "list").await;
    assert_eq!(code, Some(0), "{shown}");
    for part in ["DESTINATION", "sms", "jwks", "closed"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }

    let set = "set sms forced_open --for 30m --reason maintenance --operator ada";
    let (code, shown) = breakers(&environment, set).await;
    assert_eq!(code, Some(0), "{shown}");
    let told = "notification-gateway: sms is forced_open for 1800 s";
    assert!(shown.contains(told), "{shown}");
    let (code, shown) = breakers(&environment, "list --json --service notification-gateway").await;
    let lines = objects(&shown);
    let sms = lines.iter().find(|line| line["destination"] == "sms").unwrap();
    let stands = (code, &sms["state"], &sms["mode"]);
    assert_eq!(stands, (Some(0), &"open".into(), &"forced_open".into()));
    assert_eq!(sms["service"], "notification-gateway");
    let left = sms["mode_ends_in_s"].as_u64().unwrap();
    assert!((1700..=1800).contains(&left), "{sms}");

    // By the address, as one asks one replica among others.
    let gateway = format!("http://{}", embedded.at(3));
    let set = format!("set sms on --reason over --json --url {gateway}");
    let (code, shown) = breakers(&environment, &set).await;
    let told = json!({"service": format!("{gateway}/"), "destination": "sms", "mode": "on", "for_s": null});
    assert_eq!((code, objects(&shown)), (Some(0), vec![told]), "{shown}");

    let lines = audit(&gateway).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    for ([who, why, trace], expected) in lines
        .iter()
        .zip([("operator@127.0.0.1", "over"), ("ada", "maintenance")])
    {
        assert_eq!((who.as_str(), why.as_str()), expected);
        let is_action = |span: &Span| {
            span.name == "PUT /operations/breakers/{destination}" && span.service == "notification-gateway"
        };
        embedded.otlp.wait_for(trace, PATIENCE, is_action).await;
    }
    process.terminate();
    let status = process.exit(Duration::from_secs(10)).await;
    assert!(status.success(), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_set_is_told_with_its_reason() {
    let embedded = with_token();
    let _process = embedded.start().await;
    let environment = embedded.environment();
    let refused = "notification-gateway refuses: /reason must say why";
    for (arguments, code, said) in [
        (
            "set push on --reason why",
            1,
            "no service that answers has a breaker of push",
        ),
        ("set sms on --reason=", 1, refused),
        ("set sms ajar --reason why", 2, "forced_open"),
        ("set sms on --for 25h --reason why", 2, "from 1s to 24h"),
        ("set sms on", 2, "--reason"),
        ("list --url ftp://127.0.0.1", 1, "http://"),
    ] {
        let (found, output) = breakers(&environment, arguments).await;
        assert!(
            found == Some(code) && output.contains(said),
            "{arguments}: {found:?} {output}"
        );
    }
    assert!(audit(&format!("http://{}", embedded.at(3))).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_or_lets_nobody_in_is_told_and_the_others_are_shown() {
    let mut embedded = Embedded::prepare();
    let token = |service: &str, token: &str| (format!("WAYPOST__{service}OPERATIONS__TOKEN"), token.to_owned());
    embedded.settings = vec![
        token("NOTIFICATION_GATEWAY__", TOKEN),
        token("EMAIL_WORKER__", "another"),
    ];
    let process = embedded.start().await;
    let said = "the operations API answers 404: set operations.token";
    process.writes(said, PATIENCE).await;

    // The token of all is the gateway's; the worker has another one, user-api has none.
    let mut environment = embedded.environment();
    environment.retain(|(name, _)| !name.ends_with("TOKEN"));
    environment.push(token("", TOKEN));
    let (code, shown) = breakers(&environment, "list").await;
    assert_eq!(code, Some(0), "{shown}");
    for part in [
        "waypost: user-api has no operations API: set operations.token",
        "waypost: email-worker does not take the token",
        "notification-gateway   sms",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }

    let nobody = Port::reserve();
    let url = format!("http://127.0.0.1:{}", nobody.number());
    let (code, shown) = breakers(&environment, &format!("list --url {url}")).await;
    let is_told = shown.contains(&format!("waypost: {url}/"));
    assert!(code == Some(1) && is_told, "{code:?} {shown}");
    let (code, shown) = breakers(&environment, "list --service user-api").await;
    assert_eq!(code, Some(1), "{shown}");
}
