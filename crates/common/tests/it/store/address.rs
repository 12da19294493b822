//! What `store.url` may name: one node, over TLS or not, and no cluster.

use std::{path::Path, time::Duration};

use common::{
    config::{Service, Settings},
    process::{State, Tasks},
    store::{OpenError, Store, Timeouts},
    telemetry::Metrics,
    tls::AuthoritiesError,
};
use test_support::{PrivateRedis, eventually};

const SOON: Duration = Duration::from_secs(20);

fn open(url: &str) -> Result<Store, OpenError> {
    Store::open(url, "", Timeouts::default(), &Tasks::new(Service::UserApi))
}

/// Opens it as a service does; `None` trusts the authorities that browsers trust.
fn connect(url: &str, ca_file: Option<&Path>) -> Result<Store, OpenError> {
    let mut settings = Settings::for_tests(Service::UserApi);
    settings.store.url = url.to_owned().into();
    settings.store.ca_file = ca_file.map_or_else(String::new, |file| file.to_str().unwrap().to_owned());
    settings.store.response_timeout = Duration::from_secs(1);
    Store::connect(
        &settings,
        &Tasks::new(Service::UserApi),
        &Metrics::new(Service::UserApi),
    )
}

#[tokio::test]
async fn a_file_without_an_authority_is_refused_at_the_start() {
    let missing = connect("rediss://localhost", Some(Path::new("/nowhere/ca.pem")));
    assert!(matches!(missing, Err(OpenError::CaFile(AuthoritiesError::File { .. }))));
    let empty = connect("rediss://localhost", Some(Path::new("/dev/null")));
    assert!(matches!(empty, Err(OpenError::CaFile(AuthoritiesError::Empty { .. }))));
}

#[tokio::test]
async fn what_no_store_speaks_is_refused_with_the_setting_s_name_and_what_to_use() {
    for (url, instead) in [
        ("http://x", "redis://"),
        ("redis+cluster://x:7000,y:7000", "redis+sentinel://"),
    ] {
        let Err(error) = open(url) else {
            panic!("{url} was taken")
        };
        let said = error.to_string();
        assert!(said.starts_with("store.url") && said.contains(instead), "{said}");
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_is_not_used_and_the_cure_is_said() {
    let node = PrivateRedis::start_with(&["--cluster-enabled", "yes"]).await;
    let store = open(&node.url()).unwrap();
    let cure = eventually(SOON, async || store.finding().cure).await;
    assert!(cure.contains("redis+sentinel://"), "{cure}");
    assert_eq!(store.finding().state, State::Down);
    assert!(store.get("a").await.is_err());
}
