//! What people do, and what goes wrong, until every hot statement was sent.

use std::net::TcpListener;
use std::time::Duration;

use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use test_support::{Folder, Port, PrivatePostgres, Process, eventually, workspace_binary};

use crate::client::{Client, PATIENCE};
use crate::fill::{connect, id};

/// The person among a million whom the log-in, the reads and the list are of.
const PERSON: u32 = 7;

/// Runs Waypost over the filled tables and uses it.
pub(crate) async fn live(postgres: &PrivatePostgres) {
    let folder = Folder::create();
    let ports: Vec<Port> = (0..6).map(|_| Port::reserve()).collect();
    let at = |index: usize| format!("127.0.0.1:{}", ports[index].number());
    // An SMS provider that takes connections and says nothing: what is due stays due, and claims meet a backlog.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = [
        ("PROFILE", "test".to_owned()),
        ("DATABASE__URL", postgres.url()),
        (
            "PROVIDERS__SMS__URL",
            format!("http://{}", silent.local_addr().unwrap()),
        ),
        // Without a line for each event that nobody listens to.
        (
            "TELEMETRY__LOG_FILTER",
            "warn,common::messaging::memory=error,reqwest_retry=error".to_owned(),
        ),
        // All that are there are of 2024, and people look at them here.
        ("RETENTION__NOTIFICATIONS_S", "3000000000".to_owned()),
        ("RETENTION__EVERY_S", "1".to_owned()),
        ("USER_API__HTTP__ADDRESS", at(0)),
        ("USER_API__OPERATIONS__ADDRESS", at(1)),
        ("NOTIFICATION_GATEWAY__HTTP__ADDRESS", at(2)),
        ("NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS", at(3)),
        ("EMAIL_WORKER__OPERATIONS__ADDRESS", at(4)),
        ("PROVIDER_SANDBOX__HTTP__ADDRESS", at(5)),
    ]
    .map(|(key, value)| (format!("WAYPOST__{key}"), value));
    let writers = [
        writer(postgres, "user_api").await,
        writer(postgres, "email_worker").await,
    ];
    let process = Process::run(workspace_binary("waypost"))
        .envs(environment)
        .arg("run")
        .folder(folder.path())
        .spawn();
    let mut process = Shown(process);
    process.0.writes("Waypost is up", PATIENCE).await;
    let client = Client::new(&at(0), &at(2));
    journey(&client).await;
    for writer in writers {
        writer.execute_unprepared("COMMIT").await.unwrap();
    }
    let token = known_person(postgres, &client).await;
    notifications(postgres, &client, &token).await;
    held(postgres).await;
    trouble(postgres).await;
    process.0.terminate();
    process.0.exit(PATIENCE).await;
}

/// Somebody who writes to a service's outbox for as long as the journey lasts, and holds the relay's mark by it. The backlog has
/// ids that no sequence handed out: what the journey commits lies before them, and the mark is not to pass it.
async fn writer(postgres: &PrivatePostgres, schema: &'static str) -> DatabaseConnection {
    let connection = connect(&postgres.url(), schema).await;
    let begin = "BEGIN; LOCK TABLE outbox IN ROW EXCLUSIVE MODE";
    connection.execute_unprepared(begin).await.unwrap();
    connection
}

/// A process whose last words are shown when the check fails meanwhile.
struct Shown(Process);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.0.output();
            let lines: Vec<_> = output.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// A sign-up and a change, until the mail was sent and told of.
async fn journey(client: &Client) {
    let phone = json!({"phone": "+15550100"});
    let (status, user) = client.sign_up_with("ada@example.com", phone, None).await.unwrap();
    assert_eq!(status, 201, "{user}");
    let token = client.log_in("ada@example.com").await;
    let id = user["id"].as_str().unwrap();
    client.rename(id, &token, 1, "Ada King").await.unwrap();
    eventually(PATIENCE, || async {
        let list = client.notifications(&token).await;
        list.first().is_some_and(|one| one["channels"]["email"] == "accepted")
    })
    .await;
}

/// Logs in as one of the million, whose account no cache has, and reads it.
async fn known_person(postgres: &PrivatePostgres, client: &Client) -> String {
    let (ada, person) = ("ada@example.com", id(PERSON));
    let password = format!(
        "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email_key = '{ada}') WHERE id = '{person}'"
    );
    let inside = connect(&postgres.url(), "user_api").await;
    inside.execute_unprepared(&password).await.unwrap();
    let token = client.log_in(&format!("p{PERSON}@example.com")).await;
    assert_eq!(client.read_user(&person.to_string(), &token).await, 200);
    token
}

/// Every question about notifications, and every change.
async fn notifications(postgres: &PrivatePostgres, client: &Client, token: &str) {
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let mut request = http.request(method, format!("{}/v1/notifications{path}", client.gateway()));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.unwrap()
    };
    let pages = ["", "?state=unread", "?state=unread,read", "?state=unread,read,archived"];
    for page in pages {
        ask(Method::GET, page, None).await;
        let more = if page.is_empty() { '?' } else { '&' };
        ask(Method::GET, &format!("{page}{more}cursor=15&limit=5"), None).await;
    }
    // Often enough that PostgreSQL plans it without looking at the parameters.
    for _ in 0..8 {
        ask(Method::GET, "", None).await;
        ask(Method::GET, "/unread-count", None).await;
    }
    let newest: Value = serde_json::from_str(&ask(Method::GET, "?limit=1", None).await).unwrap();
    let one = format!("/{}", newest["items"][0]["id"].as_str().unwrap());
    ask(Method::GET, &one, None).await;
    ask(Method::GET, &format!("{one}/deliveries"), None).await;
    for state in ["archived", "unread"] {
        ask(Method::PATCH, &one, Some(json!({"state": state}))).await;
    }
    let stream = http.get(format!("{}/v1/notifications/stream", client.gateway()));
    let mut unread = stream.bearer_auth(token).send().await.unwrap();
    assert!(unread.chunk().await.unwrap().is_some());
    let mut from_the_beginning = client.stream(token).await;
    assert!(from_the_beginning.next().await.is_some());
    ask(Method::POST, "/read-all", None).await;
    // Streams look by themselves, once a second, for what other processes wrote.
    was_sent(postgres, "SELECT user_id, last_seq FROM recipients").await;
}

/// What dispatchers do while an operator holds all mail.
async fn held(postgres: &PrivatePostgres) {
    let inside = connect(&postgres.url(), "email_worker").await;
    let hold =
        "INSERT INTO holds (destination, until, reason, who, since) VALUES ('mail', 9000000000000000, 'why', 'ada', 0)";
    inside.execute_unprepared(hold).await.unwrap();
    was_sent(postgres, "= $8 AND").await;
    was_sent(postgres, "COUNT(*) AS waiting").await;
    inside.execute_unprepared("DELETE FROM holds").await.unwrap();
}

/// What dispatchers do about others that are gone, about sends that go on, and about answers that were lost.
async fn trouble(postgres: &PrivatePostgres) {
    was_sent(postgres, "UPDATE deliveries SET lease_until = CAST").await;
    for schema in ["email_worker", "notification_gateway"] {
        none_is_left_behind(postgres, schema).await;
    }
    let lock = "LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4)";
    let inside = connect(&postgres.url(), "email_worker").await;
    inside
        .execute_unprepared(&format!("BEGIN; {lock}; COMMIT"))
        .await
        .unwrap();
    was_sent(postgres, "attempts = attempts - 1").await;
    was_sent(postgres, "DELETE FROM notifications").await;
}

/// Waits until the service has made due again what a dispatcher that is gone had in hand.
async fn none_is_left_behind(postgres: &PrivatePostgres, schema: &'static str) {
    let inside = connect(&postgres.url(), schema).await;
    let left = "SELECT 1 AS one FROM deliveries WHERE status = 'sending' \
                AND lease_until < (extract(epoch FROM now()) - 30) * 1000000 LIMIT 1";
    eventually(PATIENCE, async || {
        let left = Statement::from_string(inside.get_database_backend(), left);
        inside.query_one_raw(left).await.unwrap().is_none()
    })
    .await;
}

/// Waits until a statement with these words is in the log.
async fn was_sent(postgres: &PrivatePostgres, words: &str) {
    eventually(PATIENCE, async || {
        // The log is long: it is not read all the time.
        tokio::time::sleep(Duration::from_millis(500)).await;
        postgres.log().contains(words)
    })
    .await;
}
