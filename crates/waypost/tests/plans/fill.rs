//! A million rows for each table.

use common::config::{Service, Settings};
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use uuid::Uuid;
use waypost::migrate::migrate;

/// People who have notifications, twenty each.
const LISTED: u32 = 50_000;

/// The id of row `n`, of whichever table; a person's is that of their account.
pub(crate) fn id(n: u32) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))
}

/// Makes the tables and fills them; answers with their names, each with its schema.
pub(crate) async fn fill(url: &str) -> Vec<String> {
    for service in Service::WITH_DATABASE {
        let mut settings = Settings::for_tests(service);
        settings.database.url = url.to_owned().into();
        migrate(&settings, service).await.unwrap();
    }
    let [users, mails, notifications] = [
        (Service::UserApi, users()),
        (Service::EmailWorker, mails()),
        (Service::NotificationGateway, notifications()),
    ]
    .map(|(service, tables)| fill_schema(url, service, tables));
    let (users, mails, notifications) = tokio::join!(users, mails, notifications);
    tell_plans(url).await;
    [users, mails, notifications].concat()
}

/// From now on the plans of everybody's statements are in the log, but for those of [`connect`].
async fn tell_plans(url: &str) {
    let statement = "ALTER DATABASE postgres SET auto_explain.log_min_duration = 0";
    connect(url, "public")
        .await
        .execute_unprepared(statement)
        .await
        .unwrap();
}

/// A connection whose own statements are not of interest.
pub(crate) async fn connect(url: &str, schema: &'static str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            options.options([("search_path", schema), ("auto_explain.log_min_duration", "-1")])
        });
    Database::connect(options).await.unwrap()
}

async fn fill_schema(url: &str, service: Service, tables: Vec<(&'static str, String)>) -> Vec<String> {
    let connection = connect(url, service.identifier()).await;
    // Without looking every foreign key up.
    let unchecked = "SET session_replication_role = replica";
    connection.execute_unprepared(unchecked).await.unwrap();
    let mut filled = Vec::new();
    for (table, rows) in tables {
        let insert = format!("INSERT INTO {table} {rows} FROM generate_series(1, 1000000) n");
        // Nothing is kept here: what is not logged is there sooner, and takes half the disk.
        let unlogged = format!("ALTER TABLE {table} SET UNLOGGED");
        connection.execute_unprepared(&unlogged).await.unwrap();
        connection.execute_unprepared(&insert).await.unwrap();
        let vacuum = format!("VACUUM ANALYZE {table}");
        connection.execute_unprepared(&vacuum).await.unwrap();
        filled.push(format!("{}.{table}", service.identifier()));
    }
    connection.close().await.unwrap();
    filled
}

/// SQL: the id of row `n`, see [`id`].
fn sql_id(n: &str) -> String {
    format!("CAST('01900000-0000-7000-8000-' || lpad(to_hex({n}), 12, '0') AS uuid)")
}

/// SQL: now, as the tables hold a time.
const NOW: &str = "CAST(extract(epoch FROM now()) * 1000000 AS bigint)";

/// SQL: longer than a delivery is kept.
const LONG_AGO: &str = "CAST(8640000000000 AS bigint)";

fn users() -> Vec<(&'static str, String)> {
    let id = sql_id("n");
    vec![
        // Before what they point at: PostgreSQL wants it so.
        (
            "sessions",
            format!("(id, user_id, created_at, last_seen_at) SELECT {id}, {id}, {NOW}, {NOW}"),
        ),
        (
            "users",
            format!(
                "(id, email, email_key, name, locale, status, email_verified, roles, password_hash, version, created_at, \
                    updated_at) \
                 SELECT {id}, 'p' || n || '@example.com', 'p' || n || '@example.com', 'Person', 'en', 'active', false, \
                    '[]', repeat('x', 97), 1, {NOW}, {NOW}"
            ),
        ),
        ("outbox", outbox()),
    ]
}

fn mails() -> Vec<(&'static str, String)> {
    vec![
        ("inbox", inbox(EMAIL_WORKER_EVENTS.name)),
        (
            "deliveries",
            // A third is for what is not held when `mail` is.
            deliveries(
                "email",
                "'p' || n || '@example.com'",
                "CASE WHEN n % 3 = 0 THEN 'spare' ELSE 'mail-' || n % 1024 END",
                "{}",
            ),
        ),
        ("delivery_attempts", attempts()),
        ("operations_audit", audit()),
        ("outbox", outbox()),
    ]
}

fn notifications() -> Vec<(&'static str, String)> {
    let (id, person) = (sql_id("n"), sql_id(&format!("1 + n % {LISTED}")));
    vec![
        ("inbox", inbox(GATEWAY_EVENTS.name)),
        (
            "recipients",
            format!(
                "(user_id, version, email, name, locale, status, last_seq, created_at, updated_at) \
                 SELECT {id}, 1, 'p' || n || '@example.com', 'Person', 'en', 'active', 30, {NOW}, {NOW}"
            ),
        ),
        (
            "notifications",
            format!(
                "(id, user_id, seq, source_event_id, kind, category, title, body, data, state, created_at, updated_at) \
                 SELECT {id}, {person}, 1 + n / {LISTED}, {id}, 'welcome', 'account', 'Welcome', 'Welcome', '{{}}', \
                    CASE WHEN n / {LISTED} % 2 = 0 THEN 'unread' ELSE 'read' END, {NOW}, {NOW}"
            ),
        ),
        (
            "deliveries",
            deliveries(
                "sms",
                &format!("CAST({person} AS text)"),
                "'sms'",
                r#"{"to": "+15550100", "text": "x"}"#,
            ),
        ),
    ]
}

/// Events that no queue is bound to: a backlog that is worked off, after whatever the services write.
fn outbox() -> String {
    let id = sql_id("n");
    format!(
        "(id, aggregate, message_id, type, headers, body, created_at) \
         SELECT 1000000000 + n, {id}, {id}, 'nobody.listens.v1', '{{}}', '{{}}', {NOW}"
    )
}

/// Of a million messages 20,000 were taken in so long ago that they may go.
fn inbox(consumer: &str) -> String {
    let id = sql_id("n");
    format!(
        "(consumer, message_id, received_at) \
         SELECT '{consumer}', {id}, {NOW} - CASE WHEN n % 50 = 3 THEN {LONG_AGO} ELSE 0 END"
    )
}

/// The same of attempts and of what operators did: the age stands in the id.
fn attempts() -> String {
    let id = aged_id();
    format!("(id, delivery_id, attempt, at, provider, status) SELECT {id}, {id}, 1, {NOW}, 'mail', 'accepted'")
}

fn audit() -> String {
    let id = aged_id();
    format!(
        "(id, at, who, action, target, reason, trace_id) SELECT {id}, {NOW}, 'ada', 'breaker.set', 'sms', 'why', ''"
    )
}

/// SQL: the id of row `n`, of now or, each fiftieth, of so long ago that it may go.
fn aged_id() -> String {
    let millis = format!("({NOW} - CASE WHEN n % 50 = 3 THEN 5 * {LONG_AGO} ELSE 0 END) / 1000");
    let hex = format!("lpad(to_hex({millis}), 12, '0')");
    format!("CAST(substr({hex}, 1, 8) || '-' || substr({hex}, 9) || '-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)")
}

/// Of a million deliveries 20,000 ended so long ago that they may go, 50,000 are due, 50,000 wait for their time and 1,000 were left behind by a dispatcher that is
/// gone. What the services add goes before them: by its priority, and by its id, which is of an earlier time.
fn deliveries(channel: &str, recipient: &str, destination: &str, payload: &str) -> String {
    let event = sql_id("n");
    let id = event.replace("01900000", "0fff0000");
    format!(
        "(id, source_event_id, channel, recipient, destination, status, attempts, next_attempt_at, lease_until, priority, \
            payload, created_at, updated_at) \
         SELECT {id}, {event}, '{channel}', {recipient}, {destination}, \
            CASE WHEN n % 10 = 0 THEN 'pending' WHEN n % 1000 = 1 THEN 'sending' ELSE 'delivered' END, 1, \
            {NOW} + CASE WHEN n % 20 = 0 THEN 3600000000 ELSE -60000000 END, \
            CASE WHEN n % 1000 = 1 THEN {NOW} - 60000000 END, -1, '{payload}', {NOW}, \
            {NOW} - CASE WHEN n % 50 = 3 THEN {LONG_AGO} ELSE 0 END"
    )
}
