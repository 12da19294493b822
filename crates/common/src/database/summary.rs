//! What a statement does, in a few words: what its span is called by.
//!
//! `SELECT users`, `INSERT users INSERT outbox`: each operation with the tables that it names, in the statement's order
//! (`db.query.summary` of OpenTelemetry's conventions). Words of SQL and names of tables get in, and nothing else: a value
//! that stands in the text as a plain literal (`'it''s'`) is passed over. Other ways to write one (`E'it\'s'`, `$$it's$$`)
//! and comments are not known here: no statement of a service has any, and one that holds a value must not.

use super::acts::{Act, acts};
use super::tokens::{Token, tokens};

/// Longest summary, in bytes, as the conventions have it.
const LONGEST: usize = 255;
/// Longest first word of a statement that has none of the four operations.
const LONGEST_WORD: usize = 20;

/// What a statement does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// All of it, such as `SELECT users`.
    pub(super) text: String,
    /// The operation, where there is but one.
    pub(super) operation: Option<String>,
    /// The table, where there is but one.
    pub(super) table: Option<String>,
}

impl Summary {
    pub(super) fn of(sql: &str) -> Self {
        let tokens = tokens(sql);
        let all = acts(&tokens);
        let has_tables = all.iter().any(|act| !act.tables.is_empty());
        let mut acts: Vec<Act<'_>> = Vec::new();
        for act in all {
            let is_known = acts.iter().any(|known| known.is_same(&act));
            if !is_known && (!has_tables || !act.tables.is_empty()) {
                acts.push(act);
            }
        }
        let mut text = acts.iter().map(Act::words).collect::<Vec<_>>().join(" ");
        text.truncate(text.floor_char_boundary(LONGEST));
        match acts.as_slice() {
            [] => {
                let first = first_word(&tokens);
                Self {
                    text: first.clone(),
                    operation: Some(first),
                    table: None,
                }
            }
            [act] => Self {
                text,
                operation: Some(act.operation.to_owned()),
                table: act.only_table().map(str::to_owned),
            },
            _ => Self {
                text,
                operation: None,
                table: None,
            },
        }
    }
}

/// The summary of a statement that has none of the four operations, such as `COMMIT` or `SET ..`.
fn first_word(tokens: &[Token<'_>]) -> String {
    match tokens.first() {
        Some(Token::Word(word)) if word.len() <= LONGEST_WORD => word.to_ascii_uppercase(),
        _ => "statement".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(sql: &str) -> String {
        Summary::of(sql).text
    }

    #[test]
    fn a_statement_of_one_operation_says_which_and_on_which_table() {
        for (sql, operation, table) in [
            (
                r#"SELECT "users"."id" FROM "users" WHERE "users"."id" = $1 LIMIT $2"#,
                "SELECT",
                "users",
            ),
            (
                r#"SELECT "id" FROM "users" WHERE "id" = $1 FOR NO KEY UPDATE"#,
                "SELECT",
                "users",
            ),
            (r#"UPDATE "users" SET "name" = $1 WHERE "id" = $2"#, "UPDATE", "users"),
            (
                "INSERT INTO user_api.sessions (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET n = sessions.n + 1",
                "INSERT",
                "sessions",
            ),
            ("delete from only \"outbox\" where id in ($1)", "DELETE", "outbox"),
            (
                "SELECT COUNT(*) AS num_items FROM (SELECT 1 FROM deliveries LIMIT 7) AS waiting",
                "SELECT",
                "deliveries",
            ),
            (
                "INSERT INTO inbox (a) SELECT $1, l.id FROM jsonb_to_recordset(CAST($2 AS jsonb)) AS l (id uuid) WHERE true",
                "INSERT",
                "inbox",
            ),
            (
                "SELECT id FROM inbox WHERE id = ANY ((SELECT CAST(string_to_array($1, ',') AS uuid[]))::uuid[]) \
                 AND at < CAST(extract(epoch FROM now()) AS bigint) AND a IS DISTINCT FROM b",
                "SELECT",
                "inbox",
            ),
        ] {
            let found = Summary::of(sql);
            assert_eq!(found.text, format!("{operation} {table}"), "{sql}");
            assert_eq!(found.operation.as_deref(), Some(operation), "{sql}");
            assert_eq!(found.table.as_deref(), Some(table), "{sql}");
        }
    }

    #[test]
    fn several_operations_stand_in_their_order_each_once() {
        let whole =
            "WITH \"made\" AS (INSERT INTO \"users\" (\"id\") VALUES ($1)) INSERT INTO \"outbox\" (\"id\") VALUES ($2)";
        assert_eq!(
            Summary::of(whole),
            Summary {
                text: "INSERT users INSERT outbox".to_owned(),
                operation: None,
                table: None
            }
        );
        let claim = "WITH due AS MATERIALIZED (SELECT id FROM deliveries WHERE at <= $1 FOR UPDATE SKIP LOCKED), \
                     picked AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM due) \
                     UPDATE deliveries SET status = 'sending' WHERE id IN (SELECT id FROM picked) RETURNING id";
        assert_eq!(summary(claim), "SELECT deliveries UPDATE deliveries");
        assert_eq!(
            summary(
                "SELECT d.id FROM deliveries d JOIN attempts a ON a.id = d.id WHERE (SELECT max(b) FROM holds) > 1"
            ),
            "SELECT deliveries attempts SELECT holds"
        );
        assert_eq!(
            summary("SELECT a FROM one, two AS t, three(1), (SELECT 1) AS four WHERE f(a, five)"),
            "SELECT one two"
        );
    }

    #[test]
    fn no_value_gets_in() {
        assert_eq!(
            summary("SELECT a FROM users WHERE email = 'x FROM ada@example.com' AND b = ' ''FROM c'"),
            "SELECT users"
        );
        assert_eq!(summary("SELECT 'a' FROM"), "SELECT");
        assert_eq!(summary("'ada@example.com'"), "statement");
        assert_eq!(summary(""), "statement");
    }

    #[test]
    fn what_is_none_of_the_four_is_called_by_its_first_word() {
        for (sql, word) in [
            ("COMMIT", "COMMIT"),
            ("set local lock_timeout = 7", "SET"),
            (
                "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.x', 0))",
                "SELECT",
            ),
            ("SELECT 1", "SELECT"),
        ] {
            let found = Summary::of(sql);
            assert_eq!((found.text.as_str(), found.table), (word, None), "{sql}");
            assert_eq!(found.operation.as_deref(), Some(word));
        }
    }

    #[test]
    fn a_summary_has_an_end() {
        let sql = (0..100).fold(String::new(), |sql, n| sql + &format!("SELECT a FROM table_{n} UNION "));
        assert!(summary(&sql).len() <= LONGEST);
        let deep = "(".repeat(10_000) + &")".repeat(20_000);
        assert_eq!(summary(&deep), "statement");
    }
}
