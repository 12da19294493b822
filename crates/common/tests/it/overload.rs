//! The concurrency limits before a real surface: who is refused, how, and that every place comes back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::Data;
use common::config::{Algorithm, RateLimit, Service, Settings};
use common::http::{Answer, Class, Doors, Endpoint, JsonBody, NoContent, OperationError, Place};
use common::http::{RouteTable, Surface, Verifier, serve};
use common::http::{TokenKeys, keys::KeySet};
use common::limits::Limiter;
use common::process::Tasks;
use common::store::{self, Store};
use common::telemetry::Metrics;
use reqwest::StatusCode;
use test_support::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(30);
/// Of the lane of writes: a quarter of 64. People may use 14 of these, what makes an account safe all.
const MOST: usize = 64;

/// Handlers wait until it is opened; those that left their place for it are counted.
struct Gate(Semaphore, AtomicUsize);

struct NoKeys;

impl TokenKeys for NoKeys {
    fn known(&self) -> Option<KeySet> {
        None
    }

    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

async fn change(gate: Data<Gate>) -> Result<Answer<NoContent>, OperationError> {
    let _passed = gate.0.acquire().await;
    Ok(Answer::no_content())
}

async fn log_out(gate: Data<Gate>) -> Result<Answer<NoContent>, OperationError> {
    change(gate).await
}

async fn note(gate: Data<Gate>, JsonBody(_): JsonBody<serde_json::Value>) -> Result<Answer<NoContent>, OperationError> {
    change(gate).await
}

async fn ask(gate: Data<Gate>, place: Place) -> Result<Answer<NoContent>, OperationError> {
    let asking = async {
        gate.1.fetch_add(1, Ordering::SeqCst);
        change(gate.clone()).await
    };
    place.leave_while(asking).await
}

async fn page(gate: Data<Gate>) -> Result<Answer<NoContent>, OperationError> {
    change(gate).await
}

fn routes() -> RouteTable {
    RouteTable::new("Test", "Three priorities.").room(
        "things",
        [
            Endpoint::at("/change").post(Class::Write, "Changes something", change),
            Endpoint::at("/note").post(Class::Write, "Writes something down", note),
            Endpoint::at("/ask").post(Class::Write, "Asks somebody outside", ask),
            Endpoint::at("/session")
                .post(Class::Write, "Logs out", log_out)
                .securing(),
            Endpoint::at("/page").get(Class::Public, "Reads", page),
        ],
    )
}

struct Server {
    address: String,
    gate: Arc<Gate>,
    metrics: Metrics,
    client: reqwest::Client,
    tasks: Tasks,
}

impl Server {
    fn start() -> Self {
        Self::with(|_| {})
    }

    /// One whose settings were changed.
    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::for_tests(Service::UserApi);
        settings.overload.most = MOST;
        change(&mut settings);
        let (tasks, metrics) = (Tasks::new(Service::UserApi), Metrics::new(Service::UserApi));
        let gate = Arc::new(Gate(Semaphore::new(0), AtomicUsize::new(0)));
        let store = Store::open("memory://", "test", store::Timeouts::default(), &tasks).unwrap();
        let surface = Surface {
            limiter: Limiter::new(&settings, Service::UserApi, store.clone(), &metrics),
            store,
            doors: Doors::default(),
            routes,
            state: Arc::clone(&gate),
            verifier: Verifier::new(Arc::new(NoKeys)),
            metrics: metrics.clone(),
        };
        let address = serve(&settings, surface, &tasks).unwrap();
        Self {
            address: address.to_string(),
            gate,
            metrics,
            client: reqwest::Client::builder().timeout(SOON).build().unwrap(),
            tasks,
        }
    }

    /// Begins so many requests, and waits until all are under way.
    async fn hold(&self, path: &str, lane: &str, more: usize, total: usize) -> JoinSet<StatusCode> {
        let mut held = JoinSet::new();
        for _ in 0..more {
            let request = self.request(path);
            held.spawn(async move { request.send().await.unwrap().status() });
        }
        eventually(SOON, async || self.in_flight(lane) == total).await;
        held
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        if path == "/page" {
            self.client.get(url)
        } else {
            self.client.post(url)
        }
    }

    async fn is_refused(&self, path: &str) {
        let answer = self.request(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/overloaded");
        let explained = self.client.get(format!("http://{}/problems/overloaded", self.address));
        assert_eq!(explained.send().await.unwrap().status(), 200);
    }

    fn shown(&self, series: &str) -> usize {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(series));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn in_flight(&self, lane: &str) -> usize {
        self.shown(&format!(
            "waypost_concurrency_in_flight{{service=\"user-api\",lane=\"{lane}\"}}"
        ))
    }

    /// Reads of everybody that may go on, at once or when their turn comes.
    fn let_in(&self) -> usize {
        let series = "waypost_limit_decisions_total{service=\"user-api\",class=\"public\",algorithm=\"leaky_bucket\"";
        ["drawn", "delayed"]
            .map(|outcome| self.shown(&format!("{series},outcome=\"{outcome}\"}}")))
            .iter()
            .sum()
    }

    fn shed(&self, priority: &str) -> usize {
        self.shown(&format!(
            "waypost_requests_shed_total{{service=\"user-api\",priority=\"{priority}\"}}"
        ))
    }

    /// Lets all through that wait and that come.
    async fn open(&self, held: impl IntoIterator<Item = JoinSet<StatusCode>>) {
        self.gate.0.add_permits(1_000);
        for held in held {
            for status in held.join_all().await {
                assert_eq!(status, StatusCode::NO_CONTENT);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_an_account_safe_is_refused_last_and_reading_without_a_name_first() {
    let server = Server::start();
    let people = server.hold("/change", "writes", 14, 14).await;
    server.is_refused("/change").await;
    let safe = server.hold("/session", "writes", 2, 16).await;
    server.is_refused("/session").await;
    // Who reads stands in another lane.
    let readers = server.hold("/page", "reads", 44, 44).await;
    server.is_refused("/page").await;
    for (priority, times) in [("critical", 1), ("normal", 1), ("sheddable", 1)] {
        assert_eq!(server.shed(priority), times, "{priority}");
    }
    server.open([people, safe, readers]).await;
    eventually(SOON, async || {
        server.in_flight("writes") + server.in_flight("reads") == 0
    })
    .await;
    let answer = server.request("/change").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    server.tasks.stopping().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_when_the_work_ends_though_nobody_waits_for_it_and_who_is_refused_sends_no_body() {
    let server = Server::start();
    let mut held = server.hold("/change", "writes", 14, 14).await;
    // The body is announced and never sent: who waited for it would not answer.
    let mut connection = TcpStream::connect(&server.address).await.unwrap();
    let request =
        "POST /change HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(status(&mut connection).await, "HTTP/1.1 503");
    held.abort_all();
    while held.join_next().await.is_some() {}
    server.open([]).await;
    eventually(SOON, async || server.in_flight("writes") == 0).await;
    server.tasks.stopping().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_body_slowly_holds_no_place_and_finds_one_when_it_is_there() {
    let server = Server::start();
    let begin = "POST /note HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        connection.write_all(begin.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    // More of them than there are places, and all places are free.
    let people = server.hold("/change", "writes", 14, 14).await;
    slow[0].write_all(b"}").await.unwrap();
    assert_eq!(status(&mut slow[0]).await, "HTTP/1.1 503");
    server.open([people]).await;
    eventually(SOON, async || server.in_flight("writes") == 0).await;
    for connection in &mut slow[1..] {
        connection.write_all(b"}").await.unwrap();
        assert_eq!(status(connection).await, "HTTP/1.1 204");
    }
    server.tasks.stopping().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_turn_in_a_leaky_bucket_holds_no_place_and_finds_one_when_it_has_come() {
    // One in 100 ms: each of four who ask again and again waits for 400 ms.
    let server = Server::with(|settings| {
        settings.limits.public = RateLimit {
            rate: 600.0,
            burst: 5,
            algorithm: Algorithm::LeakyBucket,
        };
    });
    server.open([]).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (request, answered) = (server.request("/page"), Arc::clone(&answered));
        callers.spawn(async move {
            let ask = async || request.try_clone().unwrap().send().await.unwrap().status();
            while ask().await == StatusCode::NO_CONTENT {
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    // Looked at again and again, since a turn may just have come.
    eventually(SOON, async || {
        let in_flight = server.in_flight("reads");
        let waiting = server.let_in().saturating_sub(answered.load(Ordering::SeqCst));
        in_flight == 0 && waiting >= 3
    })
    .await;
    let before = answered.load(Ordering::SeqCst);
    eventually(SOON, async || answered.load(Ordering::SeqCst) >= before + 4).await;
    assert!(callers.try_join_next().is_none(), "somebody was refused");
    callers.shutdown().await;
    server.tasks.stopping().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_somebody_outside_holds_no_place_and_comes_back_to_one() {
    let server = Server::start();
    let mut asking = Vec::new();
    for number in 1..=20 {
        asking.push(server.hold("/ask", "writes", 1, 0).await);
        eventually(SOON, async || server.gate.1.load(Ordering::SeqCst) == number).await;
    }
    // More of them than there are places, and all places are free.
    let people = server.hold("/change", "writes", 14, 14).await;
    server.is_refused("/change").await;
    asking.push(people);
    server.open(asking).await;
    eventually(SOON, async || server.in_flight("writes") == 0).await;
    server.tasks.stopping().cancel();
}

async fn status(connection: &mut TcpStream) -> String {
    let mut answer = vec![0; 12];
    tokio::time::timeout(SOON, connection.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer).unwrap()
}
