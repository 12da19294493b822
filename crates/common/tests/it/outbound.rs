use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::config::Service;
use common::outbound::{Destination, OutboundClient, OutboundError, Rate, Refusal, Repeat};
use common::process::{State, Tasks};
use common::resilience::{Backoff, BreakerOptions};
use common::telemetry::Metrics;
use opentelemetry::trace::TracerProvider;
use reqwest::Method;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::scripted_server::{Reply, ScriptedServer, ok, status};

const MILLIS_200: Duration = Duration::from_millis(200);

fn destination() -> Destination {
    Destination {
        backoff: Backoff {
            first: Duration::from_millis(10),
            limit: Duration::from_millis(50),
        },
        ..Destination::new("test", Duration::from_secs(5), MILLIS_200)
    }
}

struct Fixture {
    tasks: Tasks,
    metrics: Metrics,
    server: ScriptedServer,
    client: OutboundClient,
}

async fn fixture(destination: Destination, script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Fixture {
    let (tasks, metrics) = (
        Tasks::new(Service::NotificationGateway),
        Metrics::new(Service::NotificationGateway),
    );
    let server = ScriptedServer::start(&tasks, script).await;
    let client = OutboundClient::new(&destination, &metrics).unwrap();
    Fixture {
        tasks,
        metrics,
        server,
        client,
    }
}

impl Fixture {
    async fn post(&self, repeat: Repeat) -> Result<u16, OutboundError> {
        let request = self.client.request(Method::POST, self.server.url.clone()).body("a=b");
        self.client
            .execute(request, repeat)
            .await
            .map(|answer| answer.status.as_u16())
    }

    async fn get(&self) -> Result<String, OutboundError> {
        let answer = self.client.get(self.server.url.clone()).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again() {
    let script = |n| {
        if n < 2 {
            status("503 Service Unavailable")
        } else {
            ok("there")
        }
    };
    let fixture = fixture(destination(), script).await;
    assert_eq!(fixture.get().await.unwrap(), "there");
    assert_eq!(fixture.server.seen().len(), 3);
    let text = fixture.metrics.render();
    assert!(
        text.contains("http_route=\"test\",http_response_status_code=\"503\""),
        "{text}"
    );
    assert!(
        text.contains("waypost_breaker_state{service=\"notification-gateway\",destination=\"test\"} 0"),
        "{text}"
    );
}

#[tokio::test]
async fn a_post_is_repeated_only_when_that_is_said_to_be_safe() {
    let fixture = fixture(destination(), |_| status("500 Internal Server Error")).await;
    assert_eq!(fixture.post(Repeat::ByMethod).await.unwrap(), 500);
    assert_eq!(fixture.server.seen().len(), 1);
    assert_eq!(fixture.post(Repeat::Safe).await.unwrap(), 500);
    assert_eq!(fixture.server.seen().len(), 4, "two retries are three tries");
}

#[tokio::test]
async fn retry_after_is_obeyed_within_the_deadline_and_left_to_the_caller_beyond_it() {
    let script = |n| match n {
        0 => Reply::Answer("429 Too Many Requests", "retry-after: 1\r\n", String::new()),
        1 => ok("now"),
        _ => Reply::Answer("429 Too Many Requests", "retry-after: 60\r\n", String::new()),
    };
    let fixture = fixture(destination(), script).await;
    assert_eq!(fixture.get().await.unwrap(), "now");
    let seen = fixture.server.seen();
    let waited = seen[1].at - seen[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    let began = Instant::now();
    let error = fixture.get().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(30), "it waited out the minute");
    let minute = Some(Duration::from_mins(1));
    assert!(
        matches!(error, OutboundError::Status { status: 429, retry_after } if retry_after == minute),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_destination_that_hangs_is_cut_off_left_alone_and_found_again() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let script = move |_| {
        if is_well.load(Ordering::SeqCst) {
            ok("back")
        } else {
            Reply::Hang
        }
    };
    let quick = Destination {
        retries: 0,
        breaker: BreakerOptions {
            minimum_calls: 3,
            open_first: MILLIS_200,
            ..destination().breaker
        },
        ..destination()
    };
    let fixture = fixture(quick, script).await;
    for _ in 0..3 {
        assert!(matches!(fixture.get().await, Err(OutboundError::Timeout { .. })));
    }
    assert_eq!(fixture.client.state(), State::Down);
    let refused = fixture.get().await.unwrap_err();
    assert!(
        matches!(
            refused,
            OutboundError::Unavailable {
                refusal: Refusal::BreakerOpen,
                ..
            }
        ),
        "{refused:?}"
    );
    assert_eq!(fixture.server.seen().len(), 3, "an open breaker makes no call");
    well.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(30);
    while fixture.client.state() != State::Up {
        assert!(Instant::now() < deadline, "the breaker did not close");
        let _ = fixture.get().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_bulkhead_answers_at_once() {
    let narrow = Destination {
        places: 1,
        retries: 0,
        ..destination()
    };
    let fixture = fixture(narrow, |_| Reply::Hang).await;
    let (first, second) = tokio::join!(fixture.get(), fixture.get());
    assert!(matches!(first, Err(OutboundError::Timeout { .. })), "{first:?}");
    let full = |error: &OutboundError| {
        matches!(
            error,
            OutboundError::Unavailable {
                refusal: Refusal::BulkheadFull,
                ..
            }
        )
    };
    assert!(second.is_err_and(|error| full(&error)));
}

#[tokio::test]
async fn a_used_up_rate_answers_at_once_when_it_is_worth_asking_again() {
    let slow = Destination {
        rate: Some(Rate {
            per_second: 0.1,
            burst: 1.0,
        }),
        ..destination()
    };
    let fixture = fixture(slow, |_| ok("there")).await;
    assert_eq!(fixture.get().await.unwrap(), "there");
    let refused = fixture.get().await.unwrap_err();
    let OutboundError::Unavailable { refusal, retry_after } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal, Refusal::RateLimited);
    assert!(
        retry_after > Duration::from_secs(5) && retry_after <= Duration::from_secs(10),
        "{retry_after:?}"
    );
    assert_eq!(fixture.server.seen().len(), 1);
}

#[tokio::test]
async fn a_call_whose_further_try_is_refused_does_not_count_as_not_called() {
    let fragile = Destination {
        breaker: BreakerOptions {
            minimum_calls: 1,
            ..destination().breaker
        },
        ..destination()
    };
    let fixture = fixture(fragile, |_| status("503 Service Unavailable")).await;
    let error = fixture.get().await.unwrap_err();
    assert!(
        matches!(
            error,
            OutboundError::NotAgain {
                refusal: Refusal::BreakerOpen
            }
        ),
        "{error:?}"
    );
    assert_eq!(fixture.server.seen().len(), 1);
    assert!(matches!(fixture.get().await, Err(OutboundError::Unavailable { .. })));
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_drips_is_cut_off() {
    let script = |n| if n == 0 { ok(&"x".repeat(2000)) } else { Reply::Drip };
    let small = Destination {
        answer_limit: 1000,
        retries: 0,
        ..destination()
    };
    let fixture = fixture(small, script).await;
    assert!(matches!(
        fixture.get().await,
        Err(OutboundError::TooLarge { limit: 1000 })
    ));
    assert!(matches!(fixture.get().await, Err(OutboundError::Timeout { .. })));
}

#[tokio::test]
async fn a_connection_that_breaks_or_is_refused_is_an_error_of_its_own() {
    let fixture = fixture(destination(), |_| Reply::Close).await;
    assert!(matches!(fixture.get().await, Err(OutboundError::Transport(_))));
    assert_eq!(fixture.server.seen().len(), 3, "a GET is tried again");
    let _ = fixture.tasks.shut_down(Duration::ZERO).await;
    let error = fixture.post(Repeat::Never).await.unwrap_err();
    assert!(matches!(error, OutboundError::Transport(_)), "{error:?}");
}

#[tokio::test]
async fn every_try_is_a_span_of_its_own_in_the_callers_trace() {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing_subscriber::registry().with(layer).set_default();
    let script = |n| {
        if n == 0 {
            status("500 Internal Server Error")
        } else {
            ok("")
        }
    };
    let fixture = fixture(destination(), script).await;
    let span = tracing::info_span!("caller");
    fixture.get().instrument(span.clone()).await.unwrap();
    let caller = common::telemetry::TraceContext::of_span(&span);
    let sent: Vec<String> = fixture
        .server
        .seen()
        .iter()
        .filter_map(|request| Some(request.head.split_once("traceparent: ")?.1.lines().next()?.to_owned()))
        .collect();
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter().all(|header| header.contains(caller.trace_id())),
        "{sent:?} not in {caller:?}"
    );
    assert_ne!(sent[0], sent[1], "each try has a span id of its own");
    assert!(!sent.contains(&caller.traceparent));
}
