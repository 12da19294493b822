//! `amqps://`

use common::config::{Service, Settings};
use common::messaging::{Broker, BrokerError, PublishError};
use common::process::{State, Tasks};
use common::telemetry::Metrics;
use test_support::{Authority, Namespace, PrivateRabbit, Shown, Tap, eventually};

use super::expected::{REFUSED, SOON, is_refused, setting};
use crate::messaging::fixture::{outbound, someone};

/// Name and password of the user, as SASL has them.
const CREDENTIALS: &str = "\0guest\0guest";

/// Connects as a service does.
fn connect(port: u16, ca_file: &str, tasks: &Tasks) -> Result<Broker, BrokerError> {
    let mut settings = Settings::for_tests(Service::UserApi);
    settings.broker.url = format!("amqps://guest:guest@127.0.0.1:{port}/%2f").into();
    ca_file.clone_into(&mut settings.broker.ca_file);
    Namespace::unique().name().clone_into(&mut settings.broker.namespace);
    Broker::connect(&settings, tasks, &Metrics::new(Service::UserApi))
}

#[tokio::test]
async fn a_right_certificate_is_taken_and_no_other_and_the_cure_is_told() {
    let authority = Authority::create();
    let ca_file = setting(&authority.ca_file());
    let rabbit = PrivateRabbit::start_with_tls(&authority, Shown::Right).await;

    let (tap, tasks) = (Tap::on(rabbit.tls_port()).await, Tasks::new(Service::UserApi));
    let broker = connect(tap.port(), &ca_file, &tasks).unwrap();
    eventually(SOON, async || {
        let finding = broker.finding();
        finding.state == State::Up && finding.cure.is_none()
    })
    .await;
    broker.publish(outbound(&someone())).await.unwrap();
    assert!(tap.heard_only_tls_after(b"") && !tap.heard_word(CREDENTIALS));
    let _ = tasks.shut_down(SOON).await;

    for (port, words) in [(rabbit.tls_port(), "`ca_file`"), (rabbit.port(), "speaks no TLS")] {
        let tasks = Tasks::new(Service::UserApi);
        let stranger = connect(port, "", &tasks).unwrap();
        eventually(SOON, async || is_refused(&stranger.finding(), words)).await;
        let _ = tasks.shut_down(SOON).await;
    }

    for (shown, words) in REFUSED {
        rabbit.show(&authority, shown).await;
        let (tap, tasks) = (Tap::on(rabbit.tls_port()).await, Tasks::new(Service::UserApi));
        let broker = connect(tap.port(), &ca_file, &tasks).unwrap();
        eventually(SOON, async || is_refused(&broker.finding(), words)).await;
        let refused = broker.publish(outbound(&someone())).await;
        assert_eq!(refused, Err(PublishError::Unavailable), "{shown:?}");
        assert!(
            tap.heard_only_tls_after(b"") && !tap.heard_word(CREDENTIALS),
            "{shown:?}"
        );
        let _ = tasks.shut_down(SOON).await;
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_read_stops_the_start() {
    let error = connect(5671, "/nowhere/ca.pem", &Tasks::new(Service::UserApi)).unwrap_err();
    assert_eq!(error.to_string(), "broker.ca_file: /nowhere/ca.pem can't be read");
}
