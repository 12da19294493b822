//! PostgreSQL's `sslmode=verify-full`

use common::config::{Service, Settings};
use common::database::{Database, DatabaseError};
use common::process::State;
use sea_orm::ConnectionTrait;
use test_support::{Authority, PrivatePostgres, Shown, Tap, eventually};

use super::expected::{REFUSED, SOON, is_refused, setting};

/// What PostgreSQL's client says before TLS: that it wants it.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const STATEMENT: &str = "SELECT 'for nobody else'";

/// Opens it as a service does.
async fn connect(port: u16, parameters: &str, ca_file: &str) -> Result<Database, DatabaseError> {
    let mut settings = Settings::for_tests(Service::UserApi);
    settings.database.url = format!("postgres://postgres@127.0.0.1:{port}/postgres{parameters}").into();
    ca_file.clone_into(&mut settings.database.ca_file);
    Database::connect(&settings, Service::UserApi).await
}

async fn answers(database: &Database) -> bool {
    database.read().execute_unprepared(STATEMENT).await.is_ok()
}

#[tokio::test]
async fn a_right_certificate_is_taken_and_no_other_and_the_cure_is_told() {
    let authority = Authority::create();
    let ca_file = setting(&authority.ca_file());
    let postgres = PrivatePostgres::start_with_tls(&authority, Shown::Right).await;
    postgres.execute("CREATE SCHEMA user_api").await;
    postgres
        .execute("CREATE TABLE user_api.seaql_migrations (version text)")
        .await;
    let in_url = format!("?sslmode=verify-full&sslrootcert={ca_file}");
    for (parameters, ca_file) in [("?sslmode=verify-full", ca_file.as_str()), (&in_url, "")] {
        let tap = Tap::on(postgres.port()).await;
        let database = connect(tap.port(), parameters, ca_file).await.unwrap();
        eventually(SOON, async || answers(&database).await).await;
        assert_eq!(database.readiness(&[]).await, State::Up.into());
        assert!(tap.heard_only_tls_after(SSL_REQUEST) && !tap.heard_word("nobody"));
        database.close().await;
    }

    let stranger = connect(postgres.port(), "?sslmode=verify-full", "").await.unwrap();
    eventually(SOON, async || is_refused(&stranger.readiness(&[]).await, "`ca_file`")).await;

    for (shown, words) in REFUSED {
        postgres.show(&authority, shown).await;
        let tap = Tap::on(postgres.port()).await;
        // The server reads them in its own time, and a connection that was made before would stay.
        let database = eventually(SOON, async || {
            let database = connect(tap.port(), "?sslmode=verify-full", &ca_file).await.ok()?;
            is_refused(&database.readiness(&[]).await, words).then_some(database)
        })
        .await;
        assert!(!answers(&database).await, "{shown:?}");
        assert!(tap.heard_only_tls_after(SSL_REQUEST), "{shown:?}");
        database.close().await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let postgres = PrivatePostgres::start().await;
    let tap = Tap::on(postgres.port()).await;
    let database = connect(tap.port(), "?sslmode=verify-full", "").await.unwrap();
    let finding = database.readiness(&[]).await;
    assert!(is_refused(&finding, "speaks no TLS"), "{finding:?}");
    assert!(tap.heard().iter().all(|said| said == SSL_REQUEST));
}

#[tokio::test]
async fn a_file_that_would_be_passed_over_or_can_not_be_read_stops_the_start() {
    let authority = Authority::create();
    let ca_file = setting(&authority.ca_file());
    let in_url = format!("?sslmode=verify-full&sslrootcert={ca_file}");
    let required = format!("?sslmode=require&sslrootcert={ca_file}");
    for (parameters, ca_file, said) in [
        ("", ca_file.as_str(), "append sslmode=verify-full"),
        ("?sslmode=require", &ca_file, "append sslmode=verify-full"),
        (&required, "", "append sslmode=verify-full"),
        (&in_url, &ca_file, "leave one of them out"),
        (
            "?sslmode=verify-full",
            "/nowhere/ca.pem",
            "database.ca_file: /nowhere/ca.pem",
        ),
        (
            "?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "",
            "sslrootcert: /nowhere/ca.pem",
        ),
    ] {
        let Err(error) = connect(5432, parameters, ca_file).await else {
            panic!("{parameters} with {ca_file} was taken");
        };
        assert!(error.to_string().contains(said), "{error}");
    }
}
