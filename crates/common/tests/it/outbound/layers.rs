//! Each layer around a call, by what a server saw and what the caller got.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::config::Service;
use common::outbound::{Destination, Outbound, OutboundClient, OutboundError, Rate, Refusal, Repeat};
use common::process::{State, Tasks};
use common::resilience::{Backoff, BreakerOptions, Breakers};
use common::store::{Store, Timeouts};
use common::telemetry::Metrics;
use opentelemetry::trace::TracerProvider;
use reqwest::Method;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use crate::scripted_server::{Reply, ScriptedServer, ok, status};
use crate::subscriber::subscribe;

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
    _tasks: Tasks,
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
    let outbound = Outbound {
        metrics: metrics.clone(),
        store: Store::open("memory://", "", Timeouts::default(), &tasks).unwrap(),
        breakers: Breakers::default(),
    };
    let client = outbound.client(&destination).unwrap();
    Fixture {
        _tasks: tasks,
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

    /// Whether a layer decided so, and that many times.
    fn decided(&self, layer: &str, decision: &str, times: u64) -> bool {
        let labels = format!("destination=\"test\",layer=\"{layer}\",decision=\"{decision}\"}} {times}");
        self.metrics.render().lines().any(|line| line.ends_with(&labels))
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
    assert_eq!(fixture.server.seen().len(), 5, "three retries are four tries");
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

fn is_full(outcome: &Result<String, OutboundError>) -> bool {
    let Err(OutboundError::Unavailable { refusal, .. }) = outcome else {
        return false;
    };
    *refusal == Refusal::BulkheadFull
}

#[tokio::test]
async fn a_call_waits_for_a_place_while_a_try_fits_behind_it_and_is_refused_then() {
    let narrow = |call_timeout| Destination {
        places: 1,
        retries: 0,
        call_timeout,
        ..destination()
    };
    let patient = fixture(narrow(Duration::from_secs(5)), |_| Reply::Hang).await;
    let (first, second) = tokio::join!(patient.get(), patient.get());
    for outcome in [first, second] {
        assert!(matches!(outcome, Err(OutboundError::Timeout { .. })), "{outcome:?}");
    }
    assert_eq!(
        patient.server.seen().len(),
        2,
        "the second came when the first had left"
    );
    assert!(patient.decided("bulkhead", "waited", 1), "{}", patient.metrics.render());

    let hurried = fixture(narrow(MILLIS_200), |_| Reply::Hang).await;
    let (first, second) = tokio::join!(hurried.get(), hurried.get());
    assert!(matches!(first, Err(OutboundError::Timeout { .. })), "{first:?}");
    assert!(is_full(&second), "{second:?}");
    assert!(
        hurried.decided("bulkhead", "refused", 1),
        "{}",
        hurried.metrics.render()
    );
}

#[tokio::test]
async fn a_rate_is_kept_by_waiting_while_that_fits_and_says_when_to_ask_again_otherwise() {
    let even = Destination {
        rate: Some(Rate::Even(10.0)),
        retries: 0,
        call_timeout: Duration::from_millis(1_200),
        ..destination()
    };
    let fixture = fixture(even, |_| ok("there")).await;
    let began = Instant::now();
    let outcomes = futures_util::future::join_all((0..12).map(|_| fixture.get())).await;
    let (there, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    // One at once, and one each 100 ms of the 500 that are half of what a call may wait.
    assert_eq!((there.len(), fixture.server.seen().len()), (6, 6));
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    for outcome in refused {
        let Err(OutboundError::Unavailable { refusal, retry_after }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(refusal, Refusal::RateLimited);
        assert!(retry_after <= Duration::from_millis(700), "{retry_after:?}");
    }
    assert!(fixture.decided("rate", "waited", 5), "{}", fixture.metrics.render());
    assert!(fixture.decided("rate", "refused", 6), "{}", fixture.metrics.render());
}

#[tokio::test]
async fn a_destination_that_asks_for_a_pause_is_left_alone_for_it_and_has_not_failed() {
    let script = |_| Reply::Answer("429 Too Many Requests", "retry-after: 60\r\n", String::new());
    let fixture = fixture(destination(), script).await;
    assert!(matches!(
        fixture.get().await,
        Err(OutboundError::Status { status: 429, .. })
    ));
    assert_eq!(fixture.client.state(), State::Degraded);
    let refused = fixture.get().await.unwrap_err();
    let OutboundError::Unavailable { refusal, retry_after } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal, Refusal::Paused);
    assert!(
        retry_after > Duration::from_secs(50) && retry_after <= Duration::from_mins(1),
        "{retry_after:?}"
    );
    assert_eq!(fixture.server.seen().len(), 1);
    assert!(fixture.decided("breaker", "paused", 1), "{}", fixture.metrics.render());
}

#[tokio::test]
async fn an_answer_is_kept_with_its_retry_after_when_the_breaker_would_refuse_the_next_try() {
    let fragile = Destination {
        breaker: BreakerOptions {
            minimum_calls: 1,
            ..destination().breaker
        },
        ..destination()
    };
    let script = |_| Reply::Answer("503 Service Unavailable", "retry-after: 2\r\n", String::new());
    let fixture = fixture(fragile, script).await;
    let error = fixture.get().await.unwrap_err();
    let asked = Some(Duration::from_secs(2));
    assert!(
        matches!(error, OutboundError::Status { status: 503, retry_after } if retry_after == asked),
        "{error:?}"
    );
    assert_eq!(fixture.server.seen().len(), 1);
    assert!(
        fixture.decided("retry", "breaker_open", 1),
        "{}",
        fixture.metrics.render()
    );
    assert!(matches!(fixture.get().await, Err(OutboundError::Unavailable { .. })));
}

#[tokio::test]
async fn a_call_whose_further_try_is_refused_does_not_count_as_not_called() {
    // One turn at once, and the next one later than the deadline allows.
    let slow = Destination {
        rate: Some(Rate::Bursts(0.01, 1)),
        ..destination()
    };
    let fixture = fixture(slow, |_| status("503 Service Unavailable")).await;
    let error = fixture.get().await.unwrap_err();
    let OutboundError::NotAgain {
        refusal,
        retry_after,
        may_be_received,
    } = error
    else {
        panic!("{error:?}")
    };
    // The 503 was an answer.
    assert_eq!((refusal, may_be_received), (Refusal::RateLimited, false));
    assert!(retry_after > Duration::from_mins(1), "{retry_after:?}");
    assert_eq!(fixture.server.seen().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_had_no_answer_leaves_open_what_became_of_that_try() {
    for (first, is_open) in [("504 Gateway Timeout", true), ("408 Request Timeout", false)] {
        let script = move |n| {
            if n == 0 {
                status(first)
            } else {
                status("503 Service Unavailable")
            }
        };
        let once_more = Destination {
            retries: 1,
            ..destination()
        };
        let fixture = fixture(once_more, script).await;
        let request = fixture.client.request(Method::POST, fixture.server.url.clone());
        let answer = fixture.client.execute(request, Repeat::Safe).await.unwrap();
        assert_eq!((answer.status.as_u16(), fixture.server.seen().len()), (503, 2));
        assert_eq!(
            (answer.is_after_unknown, answer.leaves_open()),
            (is_open, false),
            "{first}"
        );
    }
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
    assert!(fixture.decided("timeout", "too_large", 1) && fixture.decided("timeout", "timed_out", 1));
}

#[tokio::test]
async fn an_answer_that_begins_and_stops_is_cut_off_before_its_try_would_be() {
    let patient = Destination {
        try_timeout: Duration::from_secs(30),
        stall_timeout: MILLIS_200,
        call_timeout: Duration::from_mins(1),
        retries: 0,
        ..destination()
    };
    let fixture = fixture(patient, |_| Reply::Stop).await;
    assert!(matches!(fixture.get().await, Err(OutboundError::Stalled { .. })));
    assert!(fixture.decided("timeout", "stalled", 1), "{}", fixture.metrics.render());
}

#[tokio::test]
async fn a_connection_that_breaks_or_is_refused_is_an_error_of_its_own() {
    let fixture = fixture(destination(), |_| Reply::Close).await;
    assert!(matches!(fixture.get().await, Err(OutboundError::Transport(_))));
    assert_eq!(fixture.server.seen().len(), 4, "a GET is tried again");
    // Taken, so that no other test's server gets it, and not listened on.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = taken.local_addr().unwrap().as_socket().unwrap();
    let url = format!("http://{address}/x").parse().unwrap();
    let request = fixture.client.request(Method::POST, url);
    let error = fixture.client.execute(request, Repeat::Never).await.unwrap_err();
    assert!(matches!(error, OutboundError::Transport(_)), "{error:?}");
}

#[tokio::test]
async fn every_try_is_a_span_of_its_own_in_the_callers_trace() {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = subscribe(tracing_subscriber::registry().with(layer));
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
