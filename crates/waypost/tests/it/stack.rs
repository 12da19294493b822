//! Three services and the sandbox as processes, over servers of the test's choice.

use std::time::Duration;

use test_support::{
    Namespace, OtlpReceiver, Port, Process, ProcessBuilder, SmtpReceiver, TestDatabase, amqp_url, redis_url,
    workspace_binary,
};

use crate::client::{Client, PATIENCE, wait_until};

/// Which servers; the shared ones unless a test brings its own.
pub(crate) struct Servers {
    pub(crate) amqp: String,
    pub(crate) redis: String,
    pub(crate) namespace: Namespace,
}

impl Servers {
    pub(crate) fn shared() -> Self {
        let queues = ["email-worker.events", "notification-gateway.events"];
        Self {
            amqp: amqp_url(),
            redis: redis_url(),
            namespace: Namespace::unique().sweeping(&queues, &[200, 1000]),
        }
    }
}

pub(crate) struct Stack {
    pub(crate) smtp: SmtpReceiver,
    pub(crate) otlp: OtlpReceiver,
    pub(crate) users: Process,
    pub(crate) gateway: Process,
    pub(crate) workers: Vec<Process>,
    pub(crate) users_operations: String,
    pub(crate) gateway_operations: String,
    pub(crate) sandbox: String,
    pub(crate) client: Client,
    environment: Vec<(String, String)>,
    _sandbox: Process,
    _database: TestDatabase,
    _namespace: Namespace,
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
        let stack = Self {
            users: run("user-api", &environment).spawn(),
            gateway: run("notification-gateway", &environment).spawn(),
            _sandbox: run("provider-sandbox", &environment).spawn(),
            workers: Vec::new(),
            users_operations: at(1),
            gateway_operations: at(3),
            sandbox: at(4),
            client: Client::new(&at(0), &at(2)),
            smtp,
            otlp,
            environment,
            _database: database,
            _namespace: servers.namespace,
            _ports: ports,
        };
        for operations in [&stack.users_operations, &stack.gateway_operations] {
            test_support::eventually(PATIENCE, || async {
                crate::client::readiness(operations)
                    .await
                    .is_some_and(|(status, _)| status == 200)
            })
            .await;
        }
        stack
    }

    /// Starts one more email-worker.
    pub(crate) fn add_worker(&mut self) {
        self.workers.push(run("email-worker", &self.environment).spawn());
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
    .map(|(key, value)| (format!("WAYPOST__{key}"), value))
    .to_vec()
}

/// A binary of this workspace with these settings.
pub(crate) fn run(binary: &str, environment: &[(String, String)]) -> ProcessBuilder {
    Process::run(workspace_binary(binary)).envs(environment.iter().map(|(key, value)| (key, value)))
}

/// Waits for a command to end well.
pub(crate) async fn finish(mut command: Process) {
    let status = command.exit(Duration::from_mins(1)).await;
    assert!(status.success(), "{}", command.output());
}
