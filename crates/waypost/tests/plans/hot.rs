//! Which statements must have been seen, and what is known of some.

/// A statement, known by words of it.
pub(crate) struct Hot {
    pub(crate) what: &'static str,
    pub(crate) schema: &'static str,
    pub(crate) words: &'static [&'static str],
}

const fn hot(what: &'static str, schema: &'static str, words: &'static [&'static str]) -> Hot {
    Hot { what, schema, words }
}

const USERS: &str = "user_api";
const MAILS: &str = "email_worker";
const GATEWAY: &str = "notification_gateway";

/// What every sign-up, log-in, read, event and delivery costs.
pub(crate) const HOT: &[Hot] = &[
    hot(
        "sign-up: the account and its event",
        USERS,
        &["INSERT INTO \"users\"", "INSERT INTO \"outbox\""],
    ),
    hot(
        "change: the account as it stands",
        USERS,
        &["FROM \"users\"", "FOR NO KEY UPDATE"],
    ),
    hot("change: the account", USERS, &["UPDATE \"users\""]),
    hot(
        "log-in: the credentials",
        USERS,
        &["SELECT", "\"password_hash\"", "WHERE \"users\".\"email_key\" ="],
    ),
    hot("log-in: the session", USERS, &["INSERT INTO \"sessions\""]),
    hot("log-in: its account is there", USERS, &["FOR KEY SHARE"]),
    hot("read an account", USERS, &["SELECT", "WHERE \"users\".\"id\" ="]),
    hot("relay: what waits", USERS, &["FROM outbox WHERE aggregate <> ALL"]),
    hot("relay: what is through", USERS, &["DELETE FROM outbox"]),
    hot(
        "relay: how far it has come",
        USERS,
        &["SELECT min(id)", "FROM outbox WHERE id >"],
    ),
    hot("relay: the oldest", USERS, &["SELECT created_at FROM outbox WHERE"]),
    hot("relay: how many", USERS, &["COUNT(*)", "FROM outbox"]),
    hot("consume: the first time", MAILS, &["INSERT INTO \"inbox\""]),
    hot(
        "mail: asked for",
        MAILS,
        &["INSERT INTO deliveries", "jsonb_to_recordset"],
    ),
    hot("mail: claimed", MAILS, &["WITH due AS"]),
    hot("mail: claimed beside a hold", MAILS, &["WITH due AS", "= $8 AND"]),
    hot("mail: what is not held", MAILS, &["WITH RECURSIVE found"]),
    hot("mail: how many are held", MAILS, &["COUNT(*) AS waiting"]),
    hot("mail: its outcome", MAILS, &["UPDATE \"deliveries\" SET \"status\""]),
    hot("mail: told of", MAILS, &["INSERT INTO \"outbox\""]),
    hot("mail: left behind", MAILS, &["lease_until = NULL", "last_error = $3"]),
    hot("mail: claimed without an answer", MAILS, &["attempts = attempts - 1"]),
    hot(
        "mail: a sign of life",
        MAILS,
        &["UPDATE deliveries SET lease_until = CAST"],
    ),
    hot("mail: the oldest due", MAILS, &["MIN(next_attempt_at)"]),
    hot("prune: the inbox", MAILS, &["DELETE FROM inbox"]),
    hot("prune: deliveries", MAILS, &["DELETE FROM deliveries"]),
    hot("prune: attempts", MAILS, &["DELETE FROM delivery_attempts"]),
    hot("relay: what waits", MAILS, &["FROM outbox WHERE aggregate <> ALL"]),
    hot("relay: what is through", MAILS, &["DELETE FROM outbox"]),
    hot("consume: the first time", GATEWAY, &["INSERT INTO \"inbox\""]),
    hot("take over a person", GATEWAY, &["INSERT INTO \"recipients\""]),
    hot(
        "notify: not yet",
        GATEWAY,
        &["FROM \"notifications\"", "\"notifications\".\"kind\" ="],
    ),
    hot(
        "notify: the next number",
        GATEWAY,
        &["UPDATE \"recipients\" SET \"last_seq\""],
    ),
    hot("notify: the notification", GATEWAY, &["INSERT INTO \"notifications\""]),
    hot("notify: its deliveries", GATEWAY, &["INSERT INTO \"deliveries\""]),
    hot("SMS: claimed", GATEWAY, &["WITH due AS"]),
    hot("SMS: its outcome", GATEWAY, &["UPDATE \"deliveries\" SET \"status\""]),
    hot("SMS: left behind", GATEWAY, &["lease_until = NULL", "last_error = $3"]),
    hot("SMS: the oldest due", GATEWAY, &["MIN(next_attempt_at)"]),
    hot("prune: notifications", GATEWAY, &["DELETE FROM notifications"]),
    hot("list", GATEWAY, &["WHERE \"notifications\".\"user_id\" = $1 ORDER BY"]),
    hot(
        "list: the next page",
        GATEWAY,
        &["\"user_id\" = $1 AND \"notifications\".\"seq\" <"],
    ),
    hot(
        "list: in some states",
        GATEWAY,
        &["\"notifications\".\"state\" IN", "ORDER BY"],
    ),
    hot(
        "list: in some states, the next page",
        GATEWAY,
        &["\"state\" IN", "\"seq\" <"],
    ),
    hot(
        "list: the channels",
        GATEWAY,
        &["FROM \"deliveries\"", "\"source_event_id\" IN"],
    ),
    hot("count what is unread", GATEWAY, &["COUNT(*)", "\"notifications\""]),
    hot("show one", GATEWAY, &["WHERE \"notifications\".\"id\" =", "LIMIT"]),
    hot(
        "change one: lock it",
        GATEWAY,
        &["WHERE \"notifications\".\"id\" =", "FOR UPDATE"],
    ),
    hot(
        "change one",
        GATEWAY,
        &["UPDATE \"notifications\" SET", "WHERE \"notifications\".\"id\" ="],
    ),
    hot(
        "read all",
        GATEWAY,
        &["UPDATE \"notifications\" SET", "WHERE \"notifications\".\"user_id\" ="],
    ),
    hot(
        "how one travelled",
        GATEWAY,
        &["FROM \"deliveries\"", "\"source_event_id\" = $1"],
    ),
    hot(
        "stream: what came after",
        GATEWAY,
        &["FROM \"notifications\"", "\"seq\" >"],
    ),
    hot(
        "stream: of others",
        GATEWAY,
        &["SELECT user_id, last_seq FROM recipients"],
    ),
];

/// A fault that is known, by words of its statement, and why it may stay.
pub(crate) const KNOWN: &[(&[&str], &str)] = &[
    (
        &["COUNT(*)", "FROM outbox"],
        "the metric of how many events wait: of 100,000 at most, asked every 5 s, after the age of the oldest, by the one relay \
         that leads, and broken off after 2 s",
    ),
    (
        &["MIN(next_attempt_at)"],
        "the metric of how late deliveries are: reads what is pending, every 5 s, after the work, and is broken off after 2 s",
    ),
];
