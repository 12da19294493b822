//! `waypost journey`, `deliveries`, `hold`: what an operator sees and does, against services that run.

use serde_json::{Value, json};
use test_support::{Folder, ProcessBuilder, eventually};

use crate::client::PATIENCE;
use crate::embedded::Embedded;
use crate::stack::run;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const PHONE: &str = "+15550100";
const TRACE: &str = "2af7651916cd43dd8448eb211c80319c";

/// Services that run, and an operator beside them.
struct Operator(Vec<(String, String)>);

impl Operator {
    /// Runs `waypost` with these arguments to its end: its exit code, and all that it said.
    async fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let folder = Folder::create();
        let command = run("waypost", &self.0).folder(folder.path());
        let mut command = arguments.iter().copied().fold(command, ProcessBuilder::arg).spawn();
        let status = command.exit(PATIENCE).await;
        (status.code(), command.output())
    }

    /// The same, of a command that is done.
    async fn does(&self, arguments: &[&str]) -> String {
        let (code, output) = self.says(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {output}");
        output
    }

    /// The lines that are JSON objects, of a command that is done.
    async fn shows(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.does(&[arguments, &["--json"]].concat()).await;
        let lines = output.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn prepare() -> Embedded {
    let mut embedded = Embedded::prepare();
    embedded.settings = vec![
        (
            "WAYPOST__OPERATIONS__TOKEN".to_owned(),
            "correct-horse-battery".to_owned(),
        ),
        (
            "WAYPOST__TELEMETRY__TRACE_URL".to_owned(),
            "http://jaeger.test/trace/{trace_id}".to_owned(),
        ),
    ];
    embedded
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journey_of_a_sign_up_is_told_by_address_phone_id_and_trace() {
    let embedded = prepare();
    let _process = embedded.start().await;
    let operator = Operator(embedded.environment());
    let client = embedded.client();
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let phone = json!({"phone": PHONE});
    let (status, user) = client.sign_up_with(ADA, phone, Some(&traceparent)).await.unwrap();
    assert_eq!(status, 201, "{user}");
    let id = user["id"].as_str().unwrap();

    // Once mail and SMS are out, and the mail was told of.
    let journey = eventually(PATIENCE, || async {
        let mut found = operator.shows(&["journey", ADA]).await;
        let journey = found.remove(0);
        let deliveries = journey["deliveries"].as_array().unwrap();
        let are_out = deliveries
            .iter()
            .filter(|one| ["accepted", "delivered"].iter().any(|end| one["status"] == *end));
        (are_out.count() == 4).then_some(journey)
    })
    .await;
    each_service_has_its_own(&journey);
    let event = journey["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["state"] == "taken");
    let event = event.unwrap()["id"].as_str().unwrap();

    for key in [ADA, PHONE, id, event, TRACE] {
        let told = operator.does(&["journey", key]).await;
        for part in [
            "user.registered.v1",
            "taken by email-worker.events",
            "taken by notification-gateway.events",
            "email to ada@example.com: accepted (accepted), 1 tries",
            "mail accepted",
            "sms to",
            "HTTP 201",
            &format!("trace http://jaeger.test/trace/{TRACE}"),
        ] {
            assert!(told.contains(part), "{key}: {part} is missing in\n{told}");
        }
    }
    let told = operator.does(&["journey", id]).await;
    assert!(told.contains(&format!("account {id}: active by user-api")), "{told}");
    let (code, output) = operator.says(&["journey", "nobody@example.com"]).await;
    assert!(
        code == Some(1) && output.contains("nobody who answers knows of it"),
        "{output}"
    );
}

/// Each service tells of the deliveries that it makes, or follows.
fn each_service_has_its_own(journey: &Value) {
    let mut of_services: Vec<_> = journey["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["service", "channel"].map(|name| one[name].as_str().unwrap()))
        .collect();
    of_services.sort_unstable();
    let expected = [
        ["email-worker", "email"],
        ["notification-gateway", "email"],
        ["notification-gateway", "in_app"],
        ["notification-gateway", "sms"],
    ];
    assert_eq!(of_services, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_all_mail_and_decides_about_each_one() {
    let embedded = prepare();
    let _process = embedded.start().await;
    let operator = Operator(embedded.environment());
    let client = embedded.client();
    holds_all_mail(&operator).await;
    for name in [ADA, BOB] {
        assert_eq!(client.sign_up(name).await.unwrap().0, 201);
    }
    let pending = ["deliveries", "list", "--destination", "mail", "--status", "pending"];
    let waiting = eventually(PATIENCE, || async {
        let found = operator.shows(&pending).await;
        (found.len() == 2).then_some(found)
    })
    .await;
    let of = |address: &str| {
        let found = waiting.iter().find(|one| one["recipient"] == address);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let listed = operator
        .does(&["deliveries", "list", "--recipient", ADA, "--limit", "1"])
        .await;
    assert!(listed.contains(&of(ADA)) && !listed.contains(&of(BOB)), "{listed}");

    let cancel = ["deliveries", "cancel", "--recipient", BOB, "--reason", "he asked"];
    let told = operator.does(&[&cancel[..], &["--dry-run"]].concat()).await;
    assert!(told.contains("email-worker: 1 would be cancelled"), "{told}");
    assert_eq!(operator.shows(&pending).await.len(), 2);
    let told = operator.does(&cancel).await;
    assert!(told.contains("email-worker: 1 cancelled"), "{told}");
    let old = ["--channel", "email", "--older-than", "1s", "--reason", "why"];
    let retry = [&["deliveries", "retry-now"][..], &old].concat();
    // Once it is a second old.
    eventually(PATIENCE, || async {
        operator.does(&retry).await.contains("email-worker: 1 due at once")
    })
    .await;
    assert!(embedded.mails().is_empty(), "a hold stays");

    let told = operator.does(&["release", "mail", "--reason", "it has moved"]).await;
    assert!(told.contains("email-worker: mail is released"), "{told}");
    eventually(PATIENCE, || async { embedded.mails().get(ADA) == Some(&1) }).await;
    let resend = ["deliveries", "resend", &of(BOB), "--reason", "he asked again"];
    let copy = operator.shows(&resend).await.remove(0);
    assert_eq!(
        (&copy["service"], &copy["action"], &copy["affected"]),
        (&"email-worker".into(), &"resend".into(), &1.into())
    );
    eventually(PATIENCE, || async { embedded.mails().get(BOB) == Some(&1) }).await;
    let journey = operator.does(&["journey", BOB]).await;
    assert!(
        journey.contains(&format!("a copy of delivery {}", of(BOB))),
        "{journey}"
    );

    refuses_what_makes_no_sense(&operator, &of(ADA)).await;
}

async fn holds_all_mail(operator: &Operator) {
    let hold = [
        "hold",
        "mail",
        "--for",
        "30m",
        "--reason",
        "the relay moves",
        "--operator",
        "ada",
    ];
    let told = operator.does(&hold).await;
    assert!(told.contains("email-worker: mail is held for 1800 s"), "{told}");
    let told = operator.does(&["holds"]).await;
    assert!(told.contains("the relay moves") && told.contains("sms"), "{told}");
}

async fn refuses_what_makes_no_sense(operator: &Operator, ended: &str) {
    let cancel = format!("deliveries cancel {ended} --reason why");
    let unexplained = format!("deliveries resend {ended}");
    let both = format!("deliveries resend {ended} --channel email --reason why");
    for (command, code, said) in [
        (cancel.as_str(), 1, "It has ended"),
        (
            "deliveries cancel 01900000-0000-7000-8000-000000000000 --reason why",
            1,
            "no service that answers has",
        ),
        ("deliveries retry-now --reason why", 2, "--recipient"),
        (&unexplained, 2, "--reason"),
        (&both, 2, "cannot be used with"),
        ("deliveries list --status lost", 1, "/status must be"),
        ("hold push --for 1h --reason why", 1, "sends nothing there"),
        ("hold mail --reason why", 2, "--for"),
        ("release mail --reason why", 1, "is not held"),
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        let (found, output) = operator.says(&arguments).await;
        assert!(
            found == Some(code) && output.contains(said),
            "{command}: {found:?} {output}"
        );
    }
}
