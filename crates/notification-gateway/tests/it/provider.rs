//! A server on a real port that stands for all that the gateway calls: user-api's keys, the SMS provider.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use common::http::keys::{Jwk, Jwks};
use common::process::Tasks;
use common::process::own_server;
use serde_json::json;

/// How the SMS provider answers.
#[derive(Clone, Copy)]
pub(crate) enum Mood {
    Accepts,
    Answers(u16, Option<&'static str>, &'static str),
    Hangs,
}

/// A request at the SMS provider.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.form
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }
}

struct State {
    mood: Mood,
    calls: Vec<Call>,
    jwks: Jwks,
}

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    tasks: Tasks,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let tasks = Tasks::new(common::config::Service::ProviderSandbox);
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Accepts,
            calls: vec![],
            jwks: Jwks::default(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let data = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/jwks", web::get().to(keys))
                .default_service(web::to(message))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .listen(listener)
        .unwrap()
        .run();
        own_server("provider", server, &tasks);
        Self { address, state, tasks }
    }

    pub(crate) fn publishes(&self, keys: Vec<Jwk>) {
        self.state.lock().unwrap().jwks = Jwks { keys };
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    pub(crate) async fn goes_away(&self) {
        self.tasks.shut_down(std::time::Duration::from_secs(5)).await.unwrap();
    }
}

async fn keys(state: Data<Mutex<State>>) -> HttpResponse {
    HttpResponse::Ok().json(&state.lock().unwrap().jwks)
}

async fn message(request: HttpRequest, body: Bytes, state: Data<Mutex<State>>) -> HttpResponse {
    let header = |(name, value): (
        &actix_web::http::header::HeaderName,
        &actix_web::http::header::HeaderValue,
    )| { (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()) };
    let call = Call {
        path: request.path().to_owned(),
        headers: request.headers().iter().map(header).collect(),
        form: serde_urlencoded::from_bytes(&body).unwrap_or_default(),
    };
    let (mood, number) = {
        let mut state = state.lock().unwrap();
        state.calls.push(call);
        (state.mood, state.calls.len())
    };
    match mood {
        Mood::Accepts => HttpResponse::Created().json(json!({"sid": format!("SM{number}"), "status": "queued"})),
        Mood::Answers(status, retry_after, body) => {
            let mut answer = HttpResponse::build(status.try_into().unwrap());
            if let Some(after) = retry_after {
                answer.insert_header(("Retry-After", after));
            }
            answer.content_type("application/json").body(body)
        }
        Mood::Hangs => std::future::pending().await,
    }
}
