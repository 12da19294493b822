//! What one comparison runs on: a database and names of its own, and the services over them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use test_support::{Folder, Namespace, Port, Process, TestDatabase};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cores::Cores,
    load::{Connection, get, post},
    roles::Role,
};

/// Longest that a process may take to be up, on a busy machine.
const UP: Duration = Duration::from_secs(30);
/// The one delay queue that is declared; nothing here is ever delayed.
const DELAY_MS: u64 = 10_000;
const PASSWORD: &str = "correct horse battery staple";

/// Database, store prefix and broker namespace of one comparison; gone with its value.
pub(crate) struct Stack<'a> {
    cores: &'a Cores,
    database: TestDatabase,
    namespace: Namespace,
    folder: Folder,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    operations: SocketAddr,
    _ports: [Port; 2],
}

/// Somebody with an account, logged in.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl<'a> Stack<'a> {
    /// Makes the database with its tables, the names and the folder.
    pub(crate) async fn new(cores: &'a Cores) -> anyhow::Result<Self> {
        let stack = Self {
            cores,
            database: TestDatabase::postgres().await,
            namespace: Namespace::unique(),
            folder: Folder::create(),
        };
        for (owner, schema) in [
            (Owner::UserApi, "user_api"),
            (Owner::EmailWorker, "email_worker"),
            (Owner::NotificationGateway, "notification_gateway"),
        ] {
            stack.database.execute(&format!("CREATE SCHEMA {schema}")).await;
            let connection = stack.connect(schema).await?;
            migrations::of(owner).up(&connection, None).await?;
            connection.close().await?;
        }
        Ok(stack)
    }

    /// A connection that looks into one service's tables.
    pub(crate) async fn connect(&self, schema: &str) -> anyhow::Result<DatabaseConnection> {
        let connection = self.database.connect().await;
        connection
            .execute_unprepared(&format!("SET search_path = {schema}"))
            .await?;
        Ok(connection)
    }

    /// The database's URL.
    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// A key of this stack in the store: the namespace, then `key`.
    pub(crate) fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.namespace.name())
    }

    /// What stands before the names on the broker.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// A queue of this stack, as the broker knows it.
    pub(crate) fn name(&self, queue: &str) -> String {
        format!("{}.{queue}", self.namespace.name())
    }

    /// A file of this stack's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a server on the servers' core and waits until it is up. `more` are settings beside the usual ones.
    pub(crate) async fn start(&self, role: Role, more: &[(&str, String)]) -> anyhow::Result<Server> {
        let ports = [Port::reserve(), Port::reserve()];
        let [address, operations] = [0, 1].map(|n: usize| SocketAddr::from(([127, 0, 0, 1], ports[n].number())));
        let process = self
            .cores
            .server(&["serve", role.name()])?
            .folder(self.folder.path())
            .env("WAYPOST__PROFILE", "test")
            .env("WAYPOST__TELEMETRY__LOG_FORMAT", "json")
            .env("WAYPOST__DATABASE__URL", self.database.url())
            .env("WAYPOST__STORE__URL", test_support::redis_url())
            .env("WAYPOST__BROKER__URL", test_support::amqp_url())
            .env("WAYPOST__BROKER__NAMESPACE", self.namespace.name())
            .env("WAYPOST__BROKER__RETRY_DELAYS_MS", DELAY_MS.to_string())
            .env("WAYPOST__HTTP__ADDRESS", address.to_string())
            .env("WAYPOST__OPERATIONS__ADDRESS", operations.to_string())
            .envs(more.iter().map(|(name, value)| (*name, value.as_str())))
            .spawn();
        let server = Server {
            process,
            address,
            operations,
            _ports: ports,
        };
        server.wait_until_up(role).await?;
        Ok(server)
    }
}

impl Server {
    async fn wait_until_up(&self, role: Role) -> anyhow::Result<()> {
        let end = Instant::now() + UP;
        while Instant::now() < end {
            let up = match role {
                // They have no operations port; any answer will do.
                Role::Bare | Role::RedisGet | Role::Transaction => ask(self.address, "/").await.is_ok(),
                _ => {
                    matches!(ask(self.operations, "/readyz").await, Ok((_, text)) if text.contains(r#""status":"up""#) && !text.contains("down"))
                }
            };
            if up {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{} is not up; it wrote:\n{}", role.name(), self.process.output());
    }

    /// A counter among its metrics: the first line that holds all of `words`; 0 when there is none.
    pub(crate) async fn counter(&self, words: &[&str]) -> anyhow::Result<u64> {
        let (_, text) = ask(self.operations, "/metrics").await?;
        let line = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
        let count = line.and_then(|line| line.rsplit_once(' '));
        Ok(count.map_or(Ok(0), |(_, count)| count.parse())?)
    }

    /// Signs so many people up and logs them in, one after the other.
    pub(crate) async fn people(&self, count: usize) -> anyhow::Result<Vec<Person>> {
        let mut connection = Connection::open(self.address).await?;
        let mut people = Vec::with_capacity(count);
        for n in 0..count {
            let sign_up = sign_up(&format!("reader{n}@bench.example"));
            let id = field(tell(&mut connection, &sign_up, 201).await?, "id")?;
            let token = field(tell(&mut connection, &log_in(n), 201).await?, "access_token")?;
            people.push(Person { id, token });
        }
        Ok(people)
    }

    /// What the API answers to one read.
    pub(crate) async fn body(&self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.ask(request).await?;
        ensure!(answer.status == 200, "a read was answered {}", answer.status);
        Ok(answer.body.to_vec())
    }
}

/// The requests by which these people read their own accounts.
pub(crate) fn reads_of(people: &[Person]) -> Vec<Vec<u8>> {
    let read = |person: &Person| get(&format!("/v1/users/{}", person.id), Some(&person.token));
    people.iter().map(read).collect()
}

/// The request by which the person of this number logs in, whom [`Server::people`] signed up.
pub(crate) fn log_in(number: usize) -> Vec<u8> {
    let email = format!("reader{number}@bench.example");
    post("/v1/sessions", &json!({"email": email, "password": PASSWORD}))
}

/// The request by which somebody signs up.
pub(crate) fn sign_up(email: &str) -> Vec<u8> {
    let person = json!({"email": email, "name": "Ada Lovelace", "password": PASSWORD, "locale": "en", "time_zone": "Europe/London"});
    post("/v1/users", &person)
}

async fn tell(connection: &mut Connection, request: &[u8], status: u16) -> anyhow::Result<Value> {
    let answer = connection.ask(request).await?;
    let body = String::from_utf8_lossy(answer.body);
    ensure!(answer.status == status, "answered {}: {body}", answer.status);
    Ok(serde_json::from_slice(answer.body)?)
}

fn field(mut json: Value, name: &str) -> anyhow::Result<String> {
    match json[name].take() {
        Value::String(text) => Ok(text),
        _ => bail!("the answer has no {name}"),
    }
}

async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let asking = async {
        let mut connection = Connection::open(address).await?;
        let request = get(path, None);
        let answer = connection.ask(&request).await?;
        anyhow::Ok((answer.status, String::from_utf8_lossy(answer.body).into_owned()))
    };
    timeout(Duration::from_secs(5), asking)
        .await
        .context("no answer in time")?
}
