use common::config::Service;
use common::telemetry::{Telemetry, TraceContext};
use test_support::{Answer, OtlpReceiver, Span, SpanKind, Stage};

use crate::world::{SOON, World, sign_up};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn named<'a>(trace: &'a [Span], name: &str) -> Vec<&'a Span> {
    trace.iter().filter(|span| span.name == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_and_its_event_stay_in_the_trace_of_the_sign_up() {
    let collector = OtlpReceiver::start();
    let mut world = World::production().await;
    world.settings.telemetry.otlp_endpoint = collector.endpoint();
    world.settings.telemetry.log_filter = "off".to_owned();
    let _telemetry = Telemetry::start(Service::EmailWorker, &world.settings).unwrap();
    world.smtp.script(Stage::Recipient, [Answer::say(451, "later")]);
    let _worker = world.worker().await;
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let caller = TraceContext::parse(Some(&caller), None).unwrap();
    world.publish_in(&sign_up("ann@example.org", "Ann", "en"), caller).await;

    let heard = |span: &Span| span.service == "notification-gateway" && span.kind == SpanKind::Consumer;
    // Whole only once what waits in the batches has come, too.
    let whole =
        |trace: &[Span]| trace.iter().filter(|span| heard(span)).count() >= 2 && named(trace, "send email").len() == 2;
    let trace = test_support::eventually(SOON, || async {
        let trace = collector.trace(TRACE);
        (whole(&trace) && collector.orphans(TRACE, Some(CALLER)).is_empty()).then_some(trace)
    })
    .await;

    let sends = named(&trace, "send email");
    assert!(
        sends
            .iter()
            .all(|span| span.kind == SpanKind::Client && span.service == "email-worker")
    );
    assert!(sends[0].is_error, "the first try was refused");
    assert_eq!(sends[0].attributes["error.type"], "451");
    assert!(!sends[1].is_error);
    let parents: Vec<&Span> = trace
        .iter()
        .filter(|span| sends.iter().any(|send| send.parent_id.as_ref() == Some(&span.span_id)))
        .collect();
    assert!(
        parents.iter().all(|span| span.name == "deliver email"),
        "{}",
        collector.tree(TRACE)
    );
    assert!(
        trace
            .iter()
            .all(|span| !format!("{span:?}").contains("ann@example.org"))
    );
}
