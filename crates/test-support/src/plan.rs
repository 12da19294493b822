//! The plans that PostgreSQL's `auto_explain` writes into its log, and what is wrong with one.
//!
//! Read from the log of a server with `auto_explain.log_format=json` and `auto_explain.log_verbose=on`.

use serde_json::Value;

/// Rows that a sort may be expected to get: a page, a batch, a claim.
const MAX_SORTED: f64 = 1_000.0;
/// Rows that an index may be expected to lead to where no limit ends it.
const MAX_READ: f64 = 10_000.0;

/// One statement as it was run, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    statement: String,
    root: Value,
}

impl Plan {
    /// Every plan in a server's log.
    pub fn all_in(log: &str) -> Vec<Self> {
        let mut plans = Vec::new();
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            if !(line.contains("  duration: ") && line.ends_with("plan:")) {
                continue;
            }
            // What belongs to a log line follows it with a tab in front.
            let mut text = String::new();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                text.push_str(more);
            }
            plans.extend(Self::parse(&text));
        }
        plans
    }

    /// One plan, as `auto_explain` writes it; `None`: it is cut off.
    pub fn parse(json: &str) -> Option<Self> {
        let mut document: Value = serde_json::from_str(json).ok()?;
        Some(Self {
            statement: document["Query Text"].as_str()?.to_owned(),
            root: document["Plan"].take(),
        })
    }

    /// The statement's text.
    pub fn statement(&self) -> &str {
        &self.statement
    }

    /// The schemas whose tables it touches.
    pub fn schemas(&self) -> Vec<String> {
        let mut found: Vec<_> = nodes(&self.root).iter().map(|node| text(node, "Schema")).collect();
        found.sort_unstable();
        found.dedup();
        // A function of PostgreSQL's own that gives rows is no table of anybody's.
        found.retain(|schema| !schema.is_empty() && *schema != "pg_catalog");
        found.into_iter().map(str::to_owned).collect()
    }

    /// The planner's estimate of its whole cost, in the planner's own unit.
    pub fn cost(&self) -> f64 {
        self.root["Total Cost"].as_f64().unwrap_or_default()
    }

    /// The tables that it touches, as `schema.table`.
    pub fn tables(&self) -> Vec<String> {
        let has_table = |node: &&Value| !text(node, "Relation Name").is_empty();
        nodes(&self.root).into_iter().filter(has_table).map(table).collect()
    }

    /// Its nodes from the top down, each with its table and its index.
    pub fn shape(&self) -> String {
        let shown = nodes(&self.root).into_iter().map(|node| {
            let words = ["Operation", "Node Type", "Relation Name", "Index Name"].map(|key| text(node, key));
            let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
            words.join(" ")
        });
        shown.collect::<Vec<_>>().join(" > ")
    }

    /// What is wrong with the plan, a sentence for each fault; by the planner's estimates, not by what was read.
    ///
    /// Faults are: a table for which `is_large` is true is read from end to end, by itself or by an index; an index leads to
    /// very many rows without a limit; very many rows are sorted. `is_large` is asked by `schema.table`.
    pub fn faults(&self, is_large: impl Fn(&str) -> bool) -> Vec<String> {
        let mut faults = Vec::new();
        look(&self.root, false, &is_large, &mut faults);
        faults
    }
}

/// Looks at a node and those below it. `has_limit` says that a node above ends the reading after some rows.
fn look(node: &Value, has_limit: bool, is_large: &impl Fn(&str) -> bool, faults: &mut Vec<String>) {
    let kind = text(node, "Node Type");
    let table = table(node);
    match kind {
        "Seq Scan" if is_large(&table) => faults.push(format!("Seq Scan of {table}")),
        "Index Scan" | "Index Only Scan" if node["Index Cond"].is_null() && !has_limit && is_large(&table) => {
            faults.push(format!("{kind} of all of {}", text(node, "Index Name")));
        }
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" if rows(node) > MAX_READ && !has_limit => {
            faults.push(format!("{kind} of {} rows by {}", rows(node), text(node, "Index Name")));
        }
        "Sort" | "Incremental Sort" if rows(node) > MAX_SORTED => {
            faults.push(format!("{kind} of {} rows", rows(node)));
        }
        _ => {}
    }
    for child in children(node) {
        let has_limit = match (kind, text(child, "Parent Relationship")) {
            ("Limit", "Outer") => true,
            // These nodes hand on each row as they get it, so a limit above them ends the reading below them.
            (
                "LockRows" | "Result" | "Subquery Scan" | "Append" | "Merge Append" | "Nested Loop",
                "Outer" | "Subquery" | "Member",
            ) => has_limit,
            _ => false,
        };
        look(child, has_limit, is_large, faults);
    }
}

fn nodes(root: &Value) -> Vec<&Value> {
    let mut all = vec![root];
    all.extend(children(root).flat_map(nodes));
    all
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node["Plans"].as_array().into_iter().flatten()
}

fn table(node: &Value) -> String {
    format!("{}.{}", text(node, "Schema"), text(node, "Relation Name"))
}

fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node[key].as_str().unwrap_or_default()
}

fn rows(node: &Value) -> f64 {
    node["Plan Rows"].as_f64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "plans are built from the inside out")]
    fn plan(root: Value) -> Plan {
        Plan::parse(&json!({"Query Text": "SELECT", "Plan": root}).to_string()).unwrap()
    }

    fn scan(kind: &str) -> Value {
        json!({"Node Type": kind, "Schema": "s", "Relation Name": "users", "Index Name": "users_key",
               "Parent Relationship": "Outer", "Plan Rows": 1_000_000})
    }

    #[expect(clippy::needless_pass_by_value, reason = "plans are built from the inside out")]
    fn above(kind: &str, rows: u64, child: Value) -> Value {
        json!({"Node Type": kind, "Parent Relationship": "Outer", "Plan Rows": rows, "Plans": [child]})
    }

    fn faults(root: Value) -> Vec<String> {
        plan(root).faults(|table| table == "s.users")
    }

    #[test]
    fn a_scan_of_a_large_table_is_a_fault_wherever_it_stands() {
        assert_eq!(faults(scan("Seq Scan")), ["Seq Scan of s.users"]);
        assert_eq!(faults(above("Limit", 1, scan("Seq Scan"))), ["Seq Scan of s.users"]);
        let deep = above(
            "ModifyTable",
            0,
            above("Hash Join", 9, above("Hash", 9, scan("Seq Scan"))),
        );
        assert_eq!(faults(deep), ["Seq Scan of s.users"]);
        assert!(plan(scan("Seq Scan")).faults(|table| table == "s.other").is_empty());
    }

    #[test]
    fn an_index_that_is_read_from_end_to_end_is_a_fault_unless_a_limit_ends_it() {
        let all = scan("Index Only Scan");
        assert_eq!(
            faults(above("Aggregate", 1, all.clone())),
            ["Index Only Scan of all of users_key"]
        );
        assert!(faults(above("Limit", 1, above("LockRows", 9, all.clone()))).is_empty());
        // A sort reads to the end before the first row is there.
        assert_eq!(faults(above("Limit", 1, above("Sort", 9, all.clone()))).len(), 1);
        let mut some = all;
        some["Index Cond"] = json!("(id = $1)");
        some["Plan Rows"] = json!(20);
        assert!(faults(above("Aggregate", 1, some)).is_empty());
    }

    #[test]
    fn very_many_rows_of_an_index_are_a_fault_unless_a_limit_ends_them() {
        let mut some = scan("Bitmap Index Scan");
        some["Index Cond"] = json!("(status = 'pending')");
        let heap = above("Bitmap Heap Scan", 3, some);
        // However few are left of them, and whatever is done with those.
        let sorted = above("Limit", 9, above("Sort", 3, heap));
        assert_eq!(faults(sorted), ["Bitmap Index Scan of 1000000 rows by users_key"]);
        let mut some = scan("Index Scan");
        some["Index Cond"] = json!("(status = 'pending')");
        assert!(faults(above("Limit", 9, some.clone())).is_empty());
        assert_eq!(
            faults(above("Aggregate", 9, some)),
            ["Index Scan of 1000000 rows by users_key"]
        );
    }

    #[test]
    fn a_sort_of_very_many_rows_is_a_fault_and_that_of_a_page_is_none() {
        let mut some = scan("Index Scan");
        some["Index Cond"] = json!("(user_id = $1)");
        some["Plan Rows"] = json!(1_001);
        assert!(faults(above("Sort", 1_000, some.clone())).is_empty());
        assert_eq!(
            faults(above("Limit", 20, above("Sort", 1_001, some))),
            ["Sort of 1001 rows"]
        );
    }

    #[test]
    fn plans_are_found_in_a_log_between_other_lines() {
        let log = "a LOG:  duration: 0.1 ms  plan:\n\t{\n\t  \"Query Text\": \"SELECT 1\",\n\t  \"Plan\": {\n\t    \"Node Type\": \
                   \"Result\",\n\t    \"Total Cost\": 0.01,\n\t    \"Plan Rows\": 1\n\t  }\n\t}\nb LOG:  checkpoint\nc LOG:  \
                   duration: 0.1 ms  plan:\n\t{ \"Query Te";
        let plans = Plan::all_in(log);
        assert_eq!(plans.len(), 1, "{plans:?}");
        assert_eq!((plans[0].statement(), plans[0].cost()), ("SELECT 1", 0.01));
        assert_eq!(plans[0].shape(), "Result");
    }
}
