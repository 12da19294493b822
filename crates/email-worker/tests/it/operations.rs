//! What those who run the worker see of mails, and have it do: deliveries, journeys, holds.

use std::time::Duration;

use common::telemetry::TraceContext;
use serde_json::{Value, json};
use test_support::{Answer, Stage, eventually};

use crate::world::{SOON, Worker, World, sign_up};

/// The rest of a mail server after its second refusal is twenty seconds: what goes out before was let through.
const BEFORE_THE_REST_IS_OVER: Duration = Duration::from_secs(15);
const ANN: &str = "ann@example.org";

/// The deliveries of a list, once there are so many.
async fn listed(worker: &Worker, query: &str, count: usize) -> Vec<Value> {
    eventually(SOON, || async {
        let (status, list) = worker.operate("GET", &format!("deliveries?{query}"), None).await;
        assert_eq!(status, 200, "{list}");
        let items = list["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
    .await
}

/// A worker that can do its work: before, an action may be told to come again.
async fn ready(world: &World) -> Worker {
    let worker = world.worker().await;
    eventually(SOON, || async { worker.get("/readyz").await.0 == 200 }).await;
    worker
}

async fn only(worker: &Worker, query: &str) -> Value {
    listed(worker, query, 1).await.remove(0)
}

/// What came of each exchange about a delivery: status, answer, reason.
fn exchanged(delivery: &Value) -> Vec<[&str; 3]> {
    let attempts = delivery["attempts"].as_array().unwrap().iter();
    attempts
        .map(|one| ["status", "answer", "reason"].map(|name| one[name].as_str().unwrap_or_default()))
        .collect()
}

async fn order(worker: &Worker, id: &Value, deed: &str) -> (u16, Value) {
    let path = format!("deliveries/{}/{deed}", id.as_str().unwrap());
    worker
        .operate("POST", &path, Some(json!({"reason": "asked for"})))
        .await
}

/// The actions in the audit, the newest first.
async fn audit(worker: &Worker) -> Vec<String> {
    let (_, list) = worker.operate("GET", "audit", None).await;
    let lines = list["items"].as_array().unwrap().iter();
    lines.map(|line| line["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_exchange_is_kept_with_the_full_reply_of_the_server() {
    for world in [World::production().await, World::embedded().await] {
        let greylisted = Answer::say(451, "4.7.1 greylisted, ann@example.org");
        world.smtp.script(Stage::Recipient, [greylisted]);
        world.smtp.script(Stage::Text, [Answer::say(452, "no room")]);
        let worker = world.worker().await;
        let event = sign_up(ANN, "Ann", "en");
        world.publish(&event).await;
        world.delivery("accepted").await;

        let delivery = only(
            &worker,
            "recipient=ANN@example.org&status=accepted&destination=mail&channel=email",
        )
        .await;
        assert_eq!(delivery["attempt_count"], 3);
        assert_eq!(delivery["source_event_id"], event.id.to_string());
        assert_eq!(delivery["provider"], "mail");
        let exchanges = exchanged(&delivery);
        assert_eq!(
            exchanges[..2],
            [
                [
                    "failed",
                    "451 4.7.1 greylisted, ann@example.org",
                    "451 4.7.1 at RCPT TO"
                ],
                ["failed", "452 no room", "452 at the text"],
            ]
        );
        let ["accepted", answer, ""] = exchanges[2] else {
            panic!("{exchanges:?}");
        };
        assert!(answer.starts_with("250 "), "{answer}");
        let attempts = &delivery["attempts"];
        assert!(attempts[0]["next_attempt_at"].is_string() && attempts[2]["next_attempt_at"].is_null());
        for none in [
            "status=failed",
            "recipient=bob@example.org",
            "destination=sms",
            "older_than_s=3600",
            "reason=expired",
        ] {
            assert!(listed(&worker, none, 0).await.is_empty());
        }
        let (status, problem) = worker.operate("GET", "deliveries?status=lost", None).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &"/status".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_let_through_is_the_probe_of_a_server_that_rests_and_what_it_meets_is_kept() {
    let world = World::production().await;
    world.smtp.always(Stage::Connect, Answer::say(554, "5.7.1 go away"));
    let worker = world.worker().await;
    world.publish(&sign_up(ANN, "Ann", "en")).await;
    let refused = |count: usize| {
        let worker = &worker;
        async move {
            eventually(SOON, || async {
                let delivery = only(worker, "channel=email").await;
                // The exchange is kept first, what follows from it a moment later.
                let is_settled = exchanged(&delivery).len() == count && delivery["status"] == "pending";
                is_settled.then_some(delivery)
            })
            .await
        }
    };
    let delivery = refused(1).await;
    // Nothing was said of the mail: it costs none of its tries.
    assert_eq!(delivery["attempt_count"], 0);
    let said = ["failed", "554 5.7.1 go away", "554 5.7.1 at connecting"];
    assert_eq!(exchanged(&delivery), [said]);

    let let_through = Some(json!({"affected": 1, "more": false}));
    let (status, answer) = order(&worker, &delivery["id"], "retry-now").await;
    assert_eq!((status, Some(answer)), (202, let_through.clone()));
    let delivery = refused(2).await;
    assert_eq!(
        (&delivery["attempt_count"], exchanged(&delivery)),
        (&0.into(), vec![said, said])
    );

    world.smtp.always(Stage::Connect, None);
    let filter = json!({"filter": {"destination": "mail"}, "reason": "mended"});
    let mut dry = filter.clone();
    dry["dry_run"] = true.into();
    for body in [dry, filter] {
        let (status, answer) = worker.operate("POST", "deliveries/retry-now", Some(body)).await;
        assert_eq!((status, Some(answer)), (202, let_through.clone()));
    }
    eventually(BEFORE_THE_REST_IS_OVER, || async {
        world.smtp.mails_to(ANN).len() == 1
    })
    .await;
    assert_eq!(world.delivery("accepted").await.attempts, 1);
    assert_eq!(audit(&worker).await, ["deliveries.retry_now", "deliveries.retry_now"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_waits_at_no_cost_until_it_is_released_or_the_hold_is_over() {
    for world in [World::production().await, World::embedded().await] {
        let worker = ready(&world).await;
        // Another replica: a hold is everybody's.
        let other = ready(&world).await;
        let hold = |for_s: u64| Some(json!({"for_s": for_s, "reason": "the relay moves"}));
        assert_eq!(worker.operate("PUT", "holds/mail", hold(3600)).await.0, 204);
        for (path, body, status) in [
            ("holds/sms", hold(60), 404),
            ("holds/mail", hold(0), 422),
            ("holds/mail", Some(json!({"for_s": 60, "reason": ""})), 422),
        ] {
            assert_eq!(worker.operate("PUT", path, body).await.0, status, "{path}");
        }
        for worker in [&worker, &other] {
            let says = |body: &str| body.contains("\"held\":[\"mail\"]") && body.contains("\"status\":\"degraded\"");
            eventually(SOON, || async { says(&worker.get("/readyz").await.1) }).await;
            let (_, metrics) = worker.get("/metrics").await;
            let line = "waypost_destination_held{service=\"email-worker\",destination=\"mail\"} 1";
            assert!(metrics.contains(line), "{metrics}");
        }
        let (_, list) = other.operate("GET", "holds", None).await;
        assert_eq!(list["items"][0]["destination"], "mail");
        assert_eq!(list["items"][0]["reason"], "the relay moves");
        assert_eq!(list["destinations"], json!(["mail"]));

        world.publish(&sign_up(ANN, "Ann", "en")).await;
        let delivery = only(&worker, "channel=email").await;
        // To be let through lifts no hold.
        assert_eq!(order(&worker, &delivery["id"], "retry-now").await.0, 202);
        eventually(SOON, || async { oldest_due(&worker).await >= 2.0 }).await;
        assert!(world.smtp.mails().is_empty());
        eventually(SOON, || async { hold_metric(&worker, "waiting").await >= 1.0 }).await;
        let ends_in = hold_metric(&worker, "ends_in_seconds").await;
        assert!((1.0..=3600.0).contains(&ends_in), "{ends_in}");
        assert!(hold_metric(&worker, "age_seconds").await > 0.0);
        let delivery = only(&worker, "channel=email").await;
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&"pending".into(), &0.into())
        );

        let why = Some(json!({"reason": "it has moved"}));
        assert_eq!(other.operate("DELETE", "holds/mail", why.clone()).await.0, 204);
        assert_eq!(world.delivery("accepted").await.attempts, 1);
        assert_eq!(
            other.operate("DELETE", "holds/mail", why).await.0,
            404,
            "it is not held"
        );
        assert_eq!(audit(&worker).await, ["holds.end", "deliveries.retry_now", "holds.set"]);

        assert_eq!(worker.operate("PUT", "holds/mail", hold(2)).await.0, 204);
        world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
        eventually(SOON, || async { world.smtp.mails_to("bob@example.org").len() == 1 }).await;
        assert_eq!(worker.operate("GET", "holds", None).await.1["items"], json!([]));
        for name in ["waiting", "ends_in_seconds", "age_seconds"] {
            assert!(hold_metric(&worker, name).await.abs() < f64::EPSILON, "{name}");
        }
    }
}

/// How long the oldest mail that is due has waited, by the worker's metrics.
async fn oldest_due(worker: &Worker) -> f64 {
    metric(worker, "waypost_delivery_oldest_due_seconds").await
}

/// What a metric says of the hold of `mail`.
async fn hold_metric(worker: &Worker, name: &str) -> f64 {
    metric(worker, &format!("waypost_hold_{name}")).await
}

/// The first value of a metric.
async fn metric(worker: &Worker, name: &str) -> f64 {
    let (_, metrics) = worker.get("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_is_taken_back_and_one_that_has_ended_goes_once_more() {
    for world in [World::production().await, World::embedded().await] {
        let worker = ready(&world).await;
        let hold = json!({"for_s": 3600, "reason": "look at it first"});
        assert_eq!(worker.operate("PUT", "holds/mail", Some(hold)).await.0, 204);
        let event = sign_up(ANN, "Ann", "en");
        world.publish(&event).await;
        let first = only(&worker, "channel=email").await["id"].clone();
        assert_eq!(order(&worker, &first, "resend").await.0, 409, "it waits");
        let dry = json!({"reason": "asked for", "dry_run": true});
        let path = format!("deliveries/{}/cancel", first.as_str().unwrap());
        assert_eq!(worker.operate("POST", &path, Some(dry)).await.0, 202);
        assert_eq!(only(&worker, "channel=email").await["status"], "pending");

        assert_eq!(order(&worker, &first, "cancel").await.0, 202);
        let cancelled = only(&worker, "status=cancelled").await;
        assert_eq!((&cancelled["id"], &cancelled["reason"]), (&first, &"cancelled".into()));
        for deed in ["cancel", "retry-now"] {
            assert_eq!(order(&worker, &first, deed).await.0, 409, "{deed}: it has ended");
        }
        let nobody = json!("01900000-0000-7000-8000-000000000000");
        for deed in ["cancel", "retry-now", "resend"] {
            assert_eq!(order(&worker, &nobody, deed).await.0, 404, "{deed}");
        }

        let (status, answer) = order(&worker, &first, "resend").await;
        assert_eq!((status, &answer["affected"]), (202, &1.into()));
        assert_eq!(order(&worker, &first, "resend").await.0, 409, "a copy is on its way");
        let dry = json!({"reason": "asked for", "dry_run": true});
        let path = format!("deliveries/{}/resend", first.as_str().unwrap());
        assert_eq!(
            worker.operate("POST", &path, Some(dry)).await.0,
            409,
            "a dry run asks the same"
        );
        let why = Some(json!({"reason": "looked at"}));
        assert_eq!(worker.operate("DELETE", "holds/mail", why).await.0, 204);
        let copy = only(&worker, "status=accepted").await;
        assert_eq!((&copy["id"], &copy["resend_of"]), (&answer["delivery_id"], &first));
        assert_eq!(copy["origin_event_id"], event.id.to_string());
        // Others hear of it as of the first.
        let heard = world.heard.wait_for(1).await;
        assert_eq!(heard[0].1.source_event_id, event.id);

        assert_eq!(order(&worker, &first, "resend").await.0, 409, "a copy was taken");
        assert_eq!(
            order(&worker, &copy["id"], "resend").await.0,
            202,
            "each order makes one"
        );
        eventually(SOON, || async { world.smtp.mails_to(ANN).len() == 2 }).await;
        let expected = ["resend", "resend", "cancel"].map(|deed| format!("deliveries.{deed}"));
        let of_deliveries: Vec<_> = audit(&worker)
            .await
            .into_iter()
            .filter(|one| one.starts_with("deliveries"))
            .collect();
        assert_eq!(of_deliveries, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journey_is_found_by_address_event_delivery_and_trace() {
    for world in [World::production().await, World::embedded().await] {
        let worker = world.worker().await;
        let (event, trace) = (sign_up(ANN, "Ann", "en"), TraceContext::fresh());
        world.publish_in(&event, trace.clone()).await;
        world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
        let delivery = only(&worker, "recipient=ann@example.org&status=accepted").await;
        assert_eq!(delivery["trace_id"], trace.trace_id());
        for key in [
            "Ann@Example.org",
            &event.id.to_string(),
            delivery["id"].as_str().unwrap(),
            trace.trace_id(),
        ] {
            let (status, journey) = worker.operate("GET", &format!("journey?key={key}"), None).await;
            assert_eq!(status, 200, "{journey}");
            let deliveries = journey["deliveries"].as_array().unwrap();
            assert_eq!((deliveries.len(), &deliveries[0]["id"]), (1, &delivery["id"]), "{key}");
            // Whoever stands for the gateway here has the same inbox.
            let events = journey["events"].as_array().unwrap();
            let taken = events
                .iter()
                .find(|one| one["consumer"] == "email-worker.events")
                .unwrap();
            assert_eq!(
                (&taken["id"], &taken["state"]),
                (&json!(event.id), &"taken".into()),
                "{key}"
            );
            assert_eq!(
                (&taken["type"], &taken["consumer"], &taken["trace_id"]),
                (
                    &"user.registered.v1".into(),
                    &"email-worker.events".into(),
                    &trace.trace_id().into()
                )
            );
        }
        let (_, nothing) = worker.operate("GET", "journey?key=nobody%40example.org", None).await;
        assert_eq!(nothing, json!({"known_as": [], "events": [], "deliveries": []}));
        assert_eq!(worker.operate("GET", "journey", None).await.0, 422);
    }
}
