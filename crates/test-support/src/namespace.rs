//! A name of one test's own for queues and keys, swept from the shared broker when the test ends.

use lapin::{Connection, ConnectionProperties, options::ExchangeDeleteOptions, options::QueueDeleteOptions};
use uuid::Uuid;

use crate::addresses::amqp_url;

/// Exchanges and queues that every process declares, as the API names them.
const EXCHANGES: [&str; 3] = ["waypost.events", "waypost.dead", "waypost.unrouted"];

/// A broker namespace, good as a store prefix too.
///
/// Queues on the shared broker are durable, so what a test declares would stay for ever: name the work
/// queues, and all that derives from them goes when this value does.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    queues: Vec<String>,
}

impl Namespace {
    /// One that needs no sweeping: a store prefix, or a broker that is private.
    pub fn unique() -> Self {
        let name = Uuid::now_v7().simple().to_string();
        Self {
            // The tail is the random part.
            name: format!("t{}", &name[20..]),
            queues: Vec::new(),
        }
    }

    /// One whose work queues, with dead-letter and delay queues of the given milliseconds, are deleted
    /// from the shared broker at the end. Names are without the namespace.
    #[must_use]
    pub fn sweeping(mut self, work_queues: &[&str], delays_ms: &[u64]) -> Self {
        for queue in work_queues {
            self.queues.push(format!("{}.{queue}", self.name));
            self.queues.push(format!("{}.{queue}.dead", self.name));
            for delay in delays_ms {
                self.queues.push(format!("{}.{queue}.retry.{delay}", self.name));
            }
        }
        self.queues.push(format!("{}.waypost.unrouted", self.name));
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.queues.is_empty() {
            return;
        }
        let (name, queues) = (self.name.clone(), std::mem::take(&mut self.queues));
        // A thread with a runtime of its own: Drop may run inside one. Nothing waits for it longer than
        // it takes, and a broker that is gone has nothing to sweep.
        let swept = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let limit = std::time::Duration::from_secs(5);
            runtime.block_on(async { tokio::time::timeout(limit, sweep(&name, &queues)).await })
        })
        .join();
        if !matches!(swept, Ok(Ok(Ok(())))) {
            eprintln!("could not sweep the queues of {}", self.name);
        }
    }
}

async fn sweep(namespace: &str, queues: &[String]) -> Result<(), lapin::Error> {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for queue in queues {
        channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await?;
    }
    for exchange in EXCHANGES {
        channel
            .exchange_delete(
                format!("{namespace}.{exchange}").into(),
                ExchangeDeleteOptions::default(),
            )
            .await?;
    }
    connection.close(200, "swept".into()).await
}
