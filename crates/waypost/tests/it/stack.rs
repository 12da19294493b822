//! Three services and the sandbox as processes, over servers of the test's choice.

use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DbBackend, Statement};
use test_support::{
    Namespace, OtlpReceiver, Port, PrivateRabbit, Process, ProcessBuilder, SmtpReceiver, Stream, TestDatabase,
    amqp_url, redis_url, workspace_binary,
};

use crate::client::{Client, PATIENCE, wait_until};

/// A service that was asked to stop has ended by then: it is ended by force after 10 s, and then not well.
const END: Duration = Duration::from_secs(15);

/// Which servers; the shared ones unless a test brings its own.
pub(crate) struct Servers {
    pub(crate) amqp: String,
    pub(crate) redis: String,
    pub(crate) namespace: Namespace,
    /// Settings beside the usual ones, or instead of them; names without the prefix.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// Runs each service on this one core.
    pub(crate) core: Option<&'static str>,
    /// What each service writes there is not read.
    pub(crate) stalled: Option<Stream>,
}

impl Servers {
    pub(crate) fn shared() -> Self {
        Self {
            amqp: amqp_url(),
            redis: redis_url(),
            namespace: Namespace::unique(),
            settings: Vec::new(),
            core: None,
            stalled: None,
        }
    }

    /// The shared ones, with a broker of the test's own.
    pub(crate) fn with_broker(rabbit: &PrivateRabbit) -> Self {
        Self {
            amqp: rabbit.url(),
            ..Self::shared()
        }
    }

    /// The same with one more setting.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }
}

/// One more process of a service with an API.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) client: Client,
    pub(crate) operations: String,
    name: &'static str,
    http: String,
    _ports: [Port; 2],
}

pub(crate) struct Stack {
    pub(crate) smtp: SmtpReceiver,
    pub(crate) otlp: OtlpReceiver,
    pub(crate) users: Process,
    pub(crate) gateway: Process,
    pub(crate) workers: Vec<Process>,
    pub(crate) users_http: String,
    pub(crate) gateway_http: String,
    pub(crate) users_operations: String,
    pub(crate) gateway_operations: String,
    pub(crate) sandbox: String,
    pub(crate) client: Client,
    environment: Vec<(String, String)>,
    core: Option<&'static str>,
    stalled: Option<Stream>,
    pub(crate) sandbox_process: Process,
    database: TestDatabase,
    namespace: Namespace,
    _ports: Vec<Port>,
}

impl Stack {
    /// Everything, with one email-worker, ready or degraded.
    pub(crate) async fn start(servers: Servers) -> Self {
        let mut stack = Self::without_worker(servers).await;
        stack.add_worker();
        stack
    }

    /// Everything but an email-worker.
    pub(crate) async fn without_worker(servers: Servers) -> Self {
        let database = TestDatabase::postgres().await;
        let (smtp, otlp) = (SmtpReceiver::start().await, OtlpReceiver::start());
        let ports: Vec<Port> = (0..5).map(|_| Port::reserve()).collect();
        let at = |index: usize| format!("127.0.0.1:{}", ports[index].number());
        let environment = environment(&servers, database.url(), &smtp, &otlp, &at);
        let migrate = run("waypost", &environment).arg("migrate").spawn();
        finish(migrate).await;
        let (core, stalled) = (servers.core, servers.stalled);
        let service = |name| service(name, &environment, core, stalled).spawn();
        let stack = Self {
            users: service("user-api"),
            gateway: service("notification-gateway"),
            sandbox_process: run("provider-sandbox", &environment).spawn(),
            workers: Vec::new(),
            users_http: at(0),
            gateway_http: at(2),
            users_operations: at(1),
            gateway_operations: at(3),
            sandbox: at(4),
            client: Client::new(&at(0), &at(2)),
            smtp,
            otlp,
            environment,
            core,
            stalled,
            database,
            namespace: servers.namespace,
            _ports: ports,
        };
        stack.ready().await;
        stack
    }

    /// Waits until the two HTTP services take requests.
    async fn ready(&self) {
        for operations in [&self.users_operations, &self.gateway_operations] {
            test_support::eventually(PATIENCE, || async {
                crate::client::readiness(operations)
                    .await
                    .is_some_and(|(status, _)| status == 200)
            })
            .await;
        }
    }

    /// Starts one more email-worker.
    pub(crate) fn add_worker(&mut self) {
        let worker = self.service("email-worker");
        self.workers.push(worker);
    }

    /// Starts one more user-api over the same servers, and waits until it is ready.
    pub(crate) async fn another_user_api(&self) -> Replica {
        self.another("user-api").await
    }

    /// Starts one more notification-gateway over the same servers, and waits until it is ready.
    pub(crate) async fn another_gateway(&self) -> Replica {
        self.another("notification-gateway").await
    }

    /// Has a replica end, and starts it again; waits until it is ready.
    pub(crate) async fn restart(&self, replica: &mut Replica) {
        replica.process.terminate();
        let status = replica.process.exit(END).await;
        assert!(status.success(), "{status:?}\n{}", replica.process.output());
        replica.process = self.at(replica.name, &replica.http, &replica.operations);
        wait_until(&replica.operations, "up").await;
    }

    async fn another(&self, name: &'static str) -> Replica {
        let ports = [Port::reserve(), Port::reserve()];
        let [http, operations] = [&ports[0], &ports[1]].map(|port| format!("127.0.0.1:{}", port.number()));
        let process = self.at(name, &http, &operations);
        wait_until(&operations, "up").await;
        let client = match name {
            "user-api" => Client::new(&http, &self.gateway_http),
            _ => Client::new(&self.users_http, &http),
        };
        Replica {
            process,
            client,
            operations,
            name,
            http,
            _ports: ports,
        }
    }

    /// Starts a service at these addresses.
    fn at(&self, name: &str, http: &str, operations: &str) -> Process {
        let section = name.replace('-', "_").to_uppercase();
        service(name, &self.environment, self.core, self.stalled)
            .env(format!("WAYPOST__{section}__HTTP__ADDRESS"), http)
            .env(format!("WAYPOST__{section}__OPERATIONS__ADDRESS"), operations)
            .spawn()
    }

    fn service(&self, name: &str) -> Process {
        service(name, &self.environment, self.core, self.stalled).spawn()
    }

    /// Asks all three services to stop, and waits until they have ended, well and in time.
    pub(crate) async fn stop(&mut self) {
        let asked = Instant::now();
        self.users.terminate();
        self.gateway.terminate();
        for worker in &self.workers {
            worker.terminate();
        }
        let all = [&mut self.users, &mut self.gateway]
            .into_iter()
            .chain(&mut self.workers);
        for process in all {
            let left = END.saturating_sub(asked.elapsed());
            let status = process.exit(left).await;
            assert!(status.success(), "{status:?}\n{}", process.output());
        }
        println!("all services ended within {:?}", asked.elapsed());
    }

    /// Starts one email-worker more, and has the one before it end.
    pub(crate) async fn replace_worker(&mut self) {
        self.add_worker();
        let mut old = self.workers.remove(0);
        test_support::eventually(PATIENCE, || async { old.output().contains("email-worker is up") }).await;
        old.terminate();
        let status = old.exit(END).await;
        assert!(status.success(), "{status:?}\n{}", old.output());
    }

    /// Starts user-api in place of one that was killed, and waits until it takes requests.
    pub(crate) async fn user_api_again(&mut self) {
        self.users = self.service("user-api");
        self.ready().await;
    }

    /// Has the gateway end, and starts it again.
    pub(crate) async fn restart_gateway(&mut self) {
        self.ready().await;
        self.gateway.terminate();
        let status = self.gateway.exit(END).await;
        assert!(status.success(), "{status:?}\n{}", self.gateway.output());
        self.gateway = self.service("notification-gateway");
    }

    /// Starts all three services again, in place of those that have ended.
    pub(crate) async fn start_again(&mut self) {
        self.users = self.service("user-api");
        self.gateway = self.service("notification-gateway");
        self.workers.clear();
        self.add_worker();
        self.ready().await;
    }

    /// What `waypost doctor` says with the services' settings.
    pub(crate) async fn doctor(&self) -> String {
        let mut doctor = run("waypost", &self.environment).arg("doctor").spawn();
        doctor.exit(PATIENCE * 3).await;
        doctor.output()
    }

    /// The first column of what a query finds in the services' database, which must be text; nothing
    /// when the database does not answer.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let (_, url) = self
            .environment
            .iter()
            .rfind(|(name, _)| name == "WAYPOST__DATABASE__URL")
            .unwrap();
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let Ok(connection) = sea_orm::Database::connect(options).await else {
            return Vec::new();
        };
        let rows = connection
            .query_all_raw(Statement::from_string(DbBackend::Postgres, query))
            .await
            .unwrap_or_default();
        let _ = connection.close().await;
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// The database that all services share.
    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// What stands before the names of queues and exchanges.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// Waits until the two HTTP services have all that they want.
    pub(crate) async fn up(&self) {
        wait_until(&self.users_operations, "up").await;
        wait_until(&self.gateway_operations, "up").await;
    }
}

fn environment(
    servers: &Servers,
    database: &str,
    smtp: &SmtpReceiver,
    otlp: &OtlpReceiver,
    at: &impl Fn(usize) -> String,
) -> Vec<(String, String)> {
    [
        ("PROFILE", "test".to_owned()),
        ("DATABASE__URL", database.to_owned()),
        ("STORE__URL", servers.redis.clone()),
        ("BROKER__URL", servers.amqp.clone()),
        ("BROKER__NAMESPACE", servers.namespace.name().to_owned()),
        ("BROKER__RETRY_DELAYS_MS", "200,1000".to_owned()),
        ("DISPATCH__RETRY_DELAYS_MS", "300,1000".to_owned()),
        ("MAIL__URL", smtp.url()),
        ("TELEMETRY__OTLP_ENDPOINT", otlp.endpoint()),
        ("TELEMETRY__LOG_FORMAT", "json".to_owned()),
        ("USER_API__HTTP__ADDRESS", at(0)),
        ("USER_API__OPERATIONS__ADDRESS", at(1)),
        ("NOTIFICATION_GATEWAY__HTTP__ADDRESS", at(2)),
        ("NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS", at(3)),
        // Several workers run on one machine here.
        ("EMAIL_WORKER__OPERATIONS__ADDRESS", "127.0.0.1:0".to_owned()),
        ("PROVIDER_SANDBOX__HTTP__ADDRESS", at(4)),
        ("AUTH__JWKS_URL", format!("http://{}/.well-known/jwks.json", at(0))),
        ("PROVIDERS__SMS__URL", format!("http://{}", at(4))),
    ]
    .into_iter()
    .chain(servers.settings.clone())
    .map(|(key, value)| (format!("WAYPOST__{key}"), value))
    .collect()
}

/// A binary of this workspace with these settings.
pub(crate) fn run(binary: &str, environment: &[(String, String)]) -> ProcessBuilder {
    Process::run(workspace_binary(binary)).envs(environment.iter().map(|(key, value)| (key, value)))
}

/// A service, on one core of the machine when one is named; `taskset` becomes the program that it runs.
fn service(
    binary: &str,
    environment: &[(String, String)],
    core: Option<&str>,
    stalled: Option<Stream>,
) -> ProcessBuilder {
    let program = match core {
        None => run(binary, environment),
        Some(core) => Process::run("taskset")
            .arg("-c")
            .arg(core)
            .arg(workspace_binary(binary))
            .envs(environment.iter().map(|(key, value)| (key, value))),
    };
    match stalled {
        None => program,
        Some(stream) => program.stalled(stream),
    }
}

/// Waits for a command to end well.
pub(crate) async fn finish(mut command: Process) {
    let status = command.exit(Duration::from_mins(1)).await;
    assert!(status.success(), "{}", command.output());
}

/// Memory that a process holds, in KiB.
pub(crate) fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
