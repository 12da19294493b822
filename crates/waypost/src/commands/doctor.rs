//! `waypost doctor`: asks every dependency, and says the cure for what does not answer.

use std::borrow::Cow;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use common::config::{BrokerUrl, Service, Settings};
use common::database::{self, Database, Places};
use common::messaging::{Broker, Kafka};
use common::process::{State, Tasks, chain};
use common::store::Store;
use common::telemetry::{Metrics, Telemetry};
use email_worker::{Encryption, Mail, MailUrl, SmtpAddress};
use migrations::Migrations;
use sea_orm::{ConnectionTrait, Statement};
use secrecy::ExposeSecret;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::Url;

use super::complete::complete;
use super::output::say;
use crate::migrate::tables_of;
use crate::settings::Programs;

/// Longest that one dependency is waited for.
const PATIENCE: Duration = Duration::from_secs(8);
/// Time that is added for each further node of the broker: a silent one is given up after so long, then the next is tried.
const SILENCE: Duration = Duration::from_secs(3);

/// Most events that are counted of those that wait for Kafka.
const MOST_COUNTED: i64 = 100_000;

/// What was found: `Ok(what)` or `Err((problem, cure))`.
type Finding<C = &'static str> = Result<String, (String, C)>;
/// A finding whose cure may be made at run time, as it names a node or a queue.
type Told = Finding<Cow<'static, str>>;

/// `waypost doctor`
pub fn doctor() -> ExitCode {
    complete(async {
        let well = examine().await?;
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn examine() -> anyhow::Result<bool> {
    let programs = Programs::load()?;
    let mut settings = programs.waypost.clone();
    // The libraries log much about a dependency that is away; this command says it in one line.
    "off".clone_into(&mut settings.telemetry.log_filter);
    // The test span must go out, whatever share of spans is sampled.
    settings.telemetry.sample_ratio = 1.0;
    let telemetry = Telemetry::start(Service::Waypost, &settings)?;
    let tasks = Tasks::new(Service::Waypost);
    let mut well = true;
    // Each dependency is asked with the settings of a service that needs it.
    let (worker, gateway) = (&programs.email_worker.own, &programs.notification_gateway.own);
    for (service, settings) in programs.with_database() {
        well &= tell(&format!("database of {service}"), &database(settings, service).await);
    }
    well &= tell("store", &store(&programs.user_api, &tasks).await);
    for (service, settings) in programs.with_database() {
        well &= tell(&format!("broker of {service}"), &broker(settings, &tasks).await);
    }
    for (service, settings) in programs.with_database() {
        well &= tell(&format!("outlet of {service}"), &outlet(settings, service).await);
    }
    well &= tell("mail", &mail(&worker.mail).await);
    let cure = "is user-api up? set WAYPOST__AUTH__JWKS_URL";
    well &= tell("public keys for tokens", &reaches(&gateway.auth.jwks_url, cure).await);
    let cure = "is it up? set WAYPOST__PROVIDERS__SMS__URL";
    well &= tell("SMS provider", &reaches(&gateway.providers.sms.url, cure).await);
    well &= tell("breached passwords", &breached_passwords(&programs.user_api.own).await);
    well &= tell("trace collector", &collector(&settings, telemetry).await);
    let _ = tasks.shut_down(Duration::from_secs(2)).await;
    Ok(well)
}

fn tell<C: Display>(what: &str, finding: &Finding<C>) -> bool {
    match finding {
        Ok(found) => say(&format!("ok    {what}: {found}")),
        Err((problem, cure)) => say(&format!("FAIL  {what}: {problem}\n      {cure}")),
    }
    finding.is_ok()
}

async fn database(settings: &Settings, service: Service) -> Finding {
    let wrong = |error: &(dyn std::error::Error + 'static), cure| (chain(error), cure);
    let cure = "is it up? set WAYPOST__DATABASE__URL";
    let database = Database::connect(settings, service)
        .await
        .map_err(|error| wrong(&error, cure))?;
    let names = tables_of(service).map(Migrations::names).unwrap_or_default();
    let silent = || ("it does not answer".to_owned(), cure);
    let answered = timeout(PATIENCE, database.ping()).await.map_err(|_| silent())?;
    if let Err(error) = answered {
        let why = timeout(PATIENCE, database.why_no_connection(error)).await;
        let why = why.map_err(|_| silent())?;
        return Err(wrong(&why, database::cure(&why).unwrap_or(cure)));
    }
    database
        .check_migrated(&names)
        .await
        .map_err(|error| wrong(&error, "run `waypost migrate` with the same settings"))?;
    let places = timeout(PATIENCE, database.places())
        .await
        .map_err(|_| silent())?
        .map_err(|error| wrong(&error, cure))?;
    database.close().await;
    Ok(places.map_or_else(
        || "SQLite, tables up to date".to_owned(),
        |Places { free, most }| {
            format!("PostgreSQL, tables up to date, {free} of its {most} connections are free for services")
        },
    ))
}

async fn store(settings: &Settings, tasks: &Tasks) -> Told {
    let cure = "is Redis up? set WAYPOST__STORE__URL; the services work without it, slower";
    let store = Store::connect(settings, tasks, &Metrics::new(tasks.service()))
        .map_err(|error| (chain(&error), cure.into()))?;
    if store.connected(PATIENCE).await {
        Ok("answers".to_owned())
    } else {
        Err(("no connection".to_owned(), store.finding().cure.unwrap_or(cure.into())))
    }
}

async fn broker(settings: &Settings, tasks: &Tasks) -> Told {
    if matches!(settings.broker.url, BrokerUrl::Memory) {
        return Ok("in memory: for `waypost run` only".to_owned());
    }
    let cure = "is RabbitMQ up, and may this user declare queues? set WAYPOST__BROKER__URL";
    let broker = Broker::connect(settings, tasks, &Metrics::new(Service::Waypost))
        .map_err(|error| (chain(&error), cure.into()))?;
    let others = settings.broker.url.nodes().saturating_sub(1);
    let deadline = Instant::now() + PATIENCE + SILENCE * others;
    while broker.state() != State::Up {
        if Instant::now() >= deadline {
            let mut problem = "no connection, or the queues can't be declared".to_owned();
            let away = broker.nodes_away().await;
            if !away.is_empty() {
                problem.push_str("; no answer from ");
                problem.push_str(&away.join(", "));
            }
            return Err((problem, broker.finding().cure.unwrap_or(cure.into())));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if let Some(cure) = broker.queues_without_leader().await {
        return Err((
            "connected, but queues take and give no messages".to_owned(),
            cure.into(),
        ));
    }
    let away = broker.nodes_away().await;
    let node = broker.finding().node.unwrap_or_default();
    if !away.is_empty() {
        let problem = format!("connected to {node}, but no answer from {}", away.join(", "));
        let cure = "start that node, or take it out of WAYPOST__BROKER__URL; the services work over the others";
        return Err((problem, cure.into()));
    }
    Ok(format!("connected to {node}, all queues declared"))
}

/// Kafka, where other systems read: whether the topic is there, and what waits for an outlet that is off.
async fn outlet(settings: &Settings, service: Service) -> Finding {
    let Some(waiting) = waiting_for_kafka(settings, service).await else {
        return Err((
            "what waits for Kafka can't be counted".to_owned(),
            "see the database of this service, above",
        ));
    };
    let some = if waiting > MOST_COUNTED {
        format!("more than {MOST_COUNTED}")
    } else {
        waiting.to_string()
    };
    let cure = "is Kafka up? set WAYPOST__OUTLETS__KAFKA__URL; all but the outlet works without it";
    if !settings.outlets.kafka.is_on() {
        return match waiting {
            0 => Ok("none is set (WAYPOST__OUTLETS__KAFKA__URL)".to_owned()),
            _ => Err((
                format!("it is off, and {some} events wait for Kafka"),
                "set WAYPOST__OUTLETS__KAFKA__URL again, or let them go with their time (retention.outbox_kafka_s)",
            )),
        };
    }
    let kafka = Kafka::connect(settings).map_err(|error| (chain(&error), cure))?;
    let partitions = kafka.partitions(PATIENCE).await.map_err(|problem| (problem, cure))?;
    Ok(format!(
        "Kafka has the topic, of {partitions} partitions; {some} events wait"
    ))
}

/// How many events of a service wait for Kafka, counted to one more than [`MOST_COUNTED`]; `None` where its database does not say.
async fn waiting_for_kafka(settings: &Settings, service: Service) -> Option<i64> {
    let counting = async {
        let database = Database::connect(settings, service).await.ok()?;
        let connection = database.read();
        let most = MOST_COUNTED + 1;
        let count = format!("SELECT count(*) AS waiting FROM (SELECT 1 FROM outbox_kafka LIMIT {most}) AS some_rows");
        let statement = Statement::from_string(connection.get_database_backend(), count);
        let row = connection.query_one_raw(statement).await.ok()??;
        database.close().await;
        row.try_get("", "waiting").ok()
    };
    timeout(PATIENCE, counting).await.ok().flatten()
}

async fn mail(settings: &Mail) -> Finding {
    let cure = "is the mail server up? set WAYPOST__MAIL__URL";
    let server = match &settings.url {
        MailUrl::Folder(folder) => return Ok(format!("into the folder {folder}")),
        MailUrl::Server(url) => SmtpAddress::parse(url.expose_secret()),
        MailUrl::Unknown => Err("it must begin with smtp://, smtps:// or file://"),
    };
    let server = server.map_err(|problem| (problem.to_owned(), cure))?;
    let of_file =
        "set WAYPOST__MAIL__CA_FILE to a file of PEM, or leave it out; the worker does not start with this one";
    settings.authorities().map_err(|error| (chain(&error), of_file))?;
    let at = (server.host.as_str(), server.port);
    if server.encryption == Encryption::Wrapped {
        // Such a server greets only after the TLS handshake, which is left to the worker: here a connection is enough.
        return reached(TcpStream::connect(at), cure).await;
    }
    let greeting = async {
        let mut stream = TcpStream::connect(at).await?;
        let mut code = [0; 3];
        stream.read_exact(&mut code).await?;
        std::io::Result::Ok(code)
    };
    match timeout(PATIENCE, greeting).await {
        Ok(Ok(code)) if &code == b"220" => Ok("the server greets".to_owned()),
        Ok(Ok(_)) => Err(("something answers that is no mail server".to_owned(), cure)),
        Ok(Err(error)) => Err((error.to_string(), cure)),
        Err(_) => Err(("it does not answer".to_owned(), cure)),
    }
}

async fn breached_passwords(settings: &user_api::Own) -> Finding {
    let url = &settings.providers.breached_passwords.url;
    if settings.accounts.breached_passwords == user_api::BreachedPolicy::Off || url.is_empty() {
        return Ok("new passwords are not looked up (WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL)".to_owned());
    }
    let cure = "is it up? set WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL; people sign up without it";
    reaches(url, cure).await
}

async fn reaches(url: &str, cure: &'static str) -> Finding {
    reached(connect(url), cure).await
}

async fn reached(connecting: impl Future<Output = std::io::Result<TcpStream>>, cure: &'static str) -> Finding {
    match timeout(PATIENCE, connecting).await {
        Ok(Ok(_)) => Ok("can be reached".to_owned()),
        Ok(Err(error)) => Err((error.to_string(), cure)),
        Err(_) => Err(("it does not answer".to_owned(), cure)),
    }
}

async fn collector(settings: &Settings, telemetry: Telemetry) -> Finding {
    if settings.telemetry.otlp_endpoint.is_empty() {
        return Ok("none is set (WAYPOST__TELEMETRY__OTLP_ENDPOINT)".to_owned());
    }
    match telemetry.send_test_span(PATIENCE).await {
        Ok(()) => Ok("took a test span".to_owned()),
        Err(problem) => Err((
            problem,
            "is it up, and does it speak OTLP over gRPC? set WAYPOST__TELEMETRY__OTLP_ENDPOINT",
        )),
    }
}

async fn connect(url: &str) -> std::io::Result<TcpStream> {
    let url = Url::parse(url).map_err(std::io::Error::other)?;
    let host = url
        .host_str()
        .ok_or_else(|| std::io::Error::other("the address has no host"))?;
    let port = url
        .port_or_known_default()
        .ok_or_else(|| std::io::Error::other("the address has no port"))?;
    // The brackets of an IPv6 address belong to the URL.
    TcpStream::connect((host.trim_matches(['[', ']']), port)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_authorities_that_stops_the_worker_s_start_is_found() {
        let mut settings = email_worker::Settings::for_tests().own.mail;
        settings.url = "smtps://mail.test".into();
        settings.ca_file = "/nowhere/ca.pem".to_owned();
        let (problem, cure) = mail(&settings).await.unwrap_err();
        assert!(problem.starts_with("mail.ca_file: /nowhere/ca.pem"), "{problem}");
        assert!(cure.contains("WAYPOST__MAIL__CA_FILE"), "{cure}");
    }
}
