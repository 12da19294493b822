//! The servers of one roll-out, and the programs of either version over them.

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DbBackend, Statement};
use test_support::{
    Namespace, Port, Process, ProcessBuilder, SmtpReceiver, TestDatabase, amqp_url, redis_url, workspace_binary,
};

use crate::client::{Client, PATIENCE, wait_until};

/// A program that was asked to stop has ended by then.
const END: Duration = Duration::from_secs(15);

/// Whose programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Of the commit in deploy/previous.
    Previous,
    /// Of this workspace.
    This,
}

impl Version {
    fn program(self, name: &str) -> PathBuf {
        if self == Self::This {
            return workspace_binary(name);
        }
        let Ok(folder) = std::env::var("WAYPOST_PREVIOUS_BIN") else {
            panic!("WAYPOST_PREVIOUS_BIN is not set: `make test-upgrade` does it")
        };
        PathBuf::from(folder).join(name)
    }
}

/// What both versions share.
pub(crate) struct Fleet {
    pub(crate) smtp: SmtpReceiver,
    pub(crate) sandbox: String,
    database: TestDatabase,
    environment: Vec<(String, String)>,
    _sandbox: Process,
    _sandbox_port: Port,
    _namespace: Namespace,
}

/// The three services of one version.
pub(crate) struct Services {
    pub(crate) client: Client,
    processes: Vec<Process>,
    _ports: Vec<Port>,
}

impl Fleet {
    /// Servers, and nothing in them.
    pub(crate) async fn prepare() -> Self {
        let (database, smtp, namespace) = (
            TestDatabase::postgres().await,
            SmtpReceiver::start().await,
            Namespace::unique(),
        );
        let port = Port::reserve();
        let sandbox = format!("127.0.0.1:{}", port.number());
        let environment = [
            ("PROFILE", "test".to_owned()),
            ("DATABASE__URL", database.url().to_owned()),
            ("STORE__URL", redis_url()),
            ("BROKER__URL", amqp_url()),
            ("BROKER__NAMESPACE", namespace.name().to_owned()),
            ("MAIL__URL", smtp.url()),
            ("TELEMETRY__LOG_FORMAT", "json".to_owned()),
            ("PROVIDER_SANDBOX__HTTP__ADDRESS", sandbox.clone()),
            ("PROVIDERS__SMS__URL", format!("http://{sandbox}")),
        ];
        let environment: Vec<_> = environment
            .into_iter()
            .map(|(key, value)| (format!("WAYPOST__{key}"), value))
            .collect();
        let provider = Process::run(Version::This.program("provider-sandbox")).envs(environment.clone());
        Self {
            smtp,
            sandbox,
            database,
            environment,
            _sandbox: provider.spawn(),
            _sandbox_port: port,
            _namespace: namespace,
        }
    }

    fn program(&self, version: Version, name: &str) -> ProcessBuilder {
        Process::run(version.program(name)).envs(self.environment.clone())
    }

    /// Brings the tables to where a version wants them.
    pub(crate) async fn migrate(&self, version: Version) {
        let mut migrate = self.program(version, "waypost").arg("migrate").spawn();
        let status = migrate.exit(PATIENCE).await;
        assert!(status.success(), "{version:?}: {}", migrate.output());
    }

    /// Starts the three services of a version, and waits until they have all that they want.
    pub(crate) async fn start(&self, version: Version) -> Services {
        let ports: Vec<Port> = (0..5).map(|_| Port::reserve()).collect();
        let at = |index: usize| format!("127.0.0.1:{}", ports[index].number());
        let own = [
            ("USER_API__HTTP__ADDRESS", at(0)),
            ("USER_API__OPERATIONS__ADDRESS", at(1)),
            ("NOTIFICATION_GATEWAY__HTTP__ADDRESS", at(2)),
            ("NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS", at(3)),
            ("EMAIL_WORKER__OPERATIONS__ADDRESS", at(4)),
            ("AUTH__JWKS_URL", format!("http://{}/.well-known/jwks.json", at(0))),
        ]
        .map(|(key, value)| (format!("WAYPOST__{key}"), value));
        let service = |name| self.program(version, name).envs(own.clone()).spawn();
        let processes = ["user-api", "notification-gateway", "email-worker"].map(service).into();
        for index in [1, 3, 4] {
            wait_until(&at(index), "up").await;
        }
        Services {
            client: Client::new(&at(0), &at(2)),
            processes,
            _ports: ports,
        }
    }

    /// The first column of what a query finds, which must be text.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let mut options = ConnectOptions::new(self.database.url());
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options).await.unwrap();
        let rows = connection
            .query_all_raw(Statement::from_string(DbBackend::Postgres, query))
            .await;
        connection.close().await.unwrap();
        rows.unwrap()
            .iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    }
}

impl Services {
    /// Has all three end, well and in time.
    pub(crate) async fn stop(mut self) {
        self.processes.iter().for_each(Process::terminate);
        for process in &mut self.processes {
            let status = process.exit(END).await;
            assert!(status.success(), "{status:?}\n{}", process.output());
        }
    }
}
