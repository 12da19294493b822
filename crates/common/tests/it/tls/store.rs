//! `rediss://`

use std::time::Duration;

use common::config::{Service, Settings};
use common::process::{State, Tasks};
use common::store::{OpenError, Store};
use common::telemetry::Metrics;
use test_support::{Authority, PrivateTlsRedis, Shown, Tap, eventually};

use super::expected::{REFUSED, SOON, is_refused, setting};

const PASSWORD: &str = "pa55word";
const LONG: Duration = Duration::from_mins(1);

/// Opens it as a service does.
fn connect(port: u16, ca_file: &str) -> Result<Store, OpenError> {
    let mut settings = Settings::for_tests(Service::UserApi);
    settings.store.url = format!("rediss://tls:{PASSWORD}@127.0.0.1:{port}").into();
    ca_file.clone_into(&mut settings.store.ca_file);
    settings.store.response_timeout = Duration::from_secs(1);
    Store::connect(
        &settings,
        &Tasks::new(Service::UserApi),
        &Metrics::new(Service::UserApi),
    )
}

#[tokio::test]
async fn a_right_certificate_is_taken_and_commands_go_over_tls() {
    let authority = Authority::create();
    let redis = PrivateTlsRedis::start(&authority, Shown::Right, PASSWORD).await;
    let tap = Tap::on(redis.port()).await;
    let store = connect(tap.port(), &setting(&authority.ca_file())).unwrap();
    assert!(store.connected(SOON).await);
    eventually(SOON, async || store.set("a", b"1", LONG).await.is_ok()).await;
    assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.finding(), State::Up.into());
    assert!(tap.heard_only_tls_after(b"") && !tap.heard_word(PASSWORD));
}

#[tokio::test]
async fn no_other_certificate_is_taken_and_the_cure_is_told() {
    let authority = Authority::create();
    for (shown, words) in REFUSED {
        let redis = PrivateTlsRedis::start(&authority, shown, PASSWORD).await;
        let tap = Tap::on(redis.port()).await;
        let store = connect(tap.port(), &setting(&authority.ca_file())).unwrap();
        eventually(SOON, async || is_refused(&store.finding(), words)).await;
        assert!(store.set("a", b"1", LONG).await.is_err(), "{shown:?}");
        assert!(tap.heard_only_tls_after(b"") && !tap.heard_word(PASSWORD), "{shown:?}");
    }
}

#[tokio::test]
async fn with_no_file_only_those_that_browsers_trust_are_taken() {
    let redis = PrivateTlsRedis::start(&Authority::create(), Shown::Right, PASSWORD).await;
    let store = connect(redis.port(), "").unwrap();
    eventually(SOON, async || is_refused(&store.finding(), "`ca_file`")).await;
}
