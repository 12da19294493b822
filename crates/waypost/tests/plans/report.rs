//! What was seen, as a person reads it, and what is wrong with it.

use std::collections::BTreeMap;

use test_support::Plan;

use crate::hot::{HOT, Hot, KNOWN};

/// Characters of a statement that are shown.
const SHOWN: usize = 230;

/// One way in which a statement was answered.
struct Way<'a> {
    plan: &'a Plan,
    times: usize,
}

/// Prints every statement on a large table with its plans; answers with what must be mended.
pub(crate) fn judge(plans: &[Plan], large: &[String]) -> Vec<String> {
    let is_large = |table: &str| large.iter().any(|name| name == table);
    let mut ways: BTreeMap<(String, String, String), Way<'_>> = BTreeMap::new();
    for plan in plans
        .iter()
        .filter(|plan| plan.tables().iter().any(|table| is_large(table)))
    {
        let key = (
            plan.schemas().join(","),
            without_numbers(plan.statement()),
            plan.shape(),
        );
        ways.entry(key).or_insert(Way { plan, times: 0 }).times += 1;
    }
    let mut wrong = Vec::new();
    let mut known = vec![false; KNOWN.len()];
    let mut last = None;
    for ((schema, statement, shape), way) in &ways {
        if last.replace((schema, statement)) != Some((schema, statement)) {
            println!(
                "\n{schema}: {}{}",
                names(schema, way.plan.statement()),
                short(statement)
            );
        }
        println!("  {:>6} x  cost {:>10.2}  {shape}", way.times, way.plan.cost());
        for fault in way.plan.faults(is_large) {
            if let Some(at) = KNOWN.iter().position(|(words, _)| has_all(way.plan.statement(), words)) {
                known[at] = true;
                println!("            known: {fault}: {}", KNOWN[at].1);
            } else {
                println!("            WRONG: {fault}");
                wrong.push(format!("{schema}: {fault}\n    in {statement}\n    as {shape}"));
            }
        }
    }
    let was_seen = |hot: &Hot| {
        let mut seen = ways.iter();
        seen.any(|((schema, ..), way)| is(hot, schema, way.plan.statement()))
    };
    let unseen = HOT.iter().filter(|hot| !was_seen(hot));
    wrong.extend(unseen.map(|hot| format!("{}: {}: no such statement was sent", hot.schema, hot.what)));
    let mended = KNOWN.iter().zip(known).filter(|(_, seen)| !seen);
    wrong.extend(mended.map(|((words, _), _)| format!("{words:?} has no fault any more: take it off the list")));
    wrong
}

fn is(hot: &Hot, schema: &str, statement: &str) -> bool {
    hot.schema == schema && has_all(statement, hot.words)
}

fn has_all(statement: &str, words: &[&str]) -> bool {
    words.iter().all(|word| statement.contains(word))
}

/// What it is for, when that is said.
fn names(schema: &str, statement: &str) -> String {
    let named = HOT.iter().filter(|hot| is(hot, schema, statement));
    let named: Vec<_> = named.map(|hot| format!("[{}] ", hot.what)).collect();
    named.concat()
}

/// With one text whatever numbers stand in it; parameters keep theirs.
fn without_numbers(statement: &str) -> String {
    let mut shown = String::with_capacity(statement.len());
    for part in statement.split_inclusive([' ', ',', '(', ')']) {
        let word = part.trim_end_matches([' ', ',', '(', ')']);
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        shown.push_str(if is_number { "N" } else { word });
        shown.push_str(&part[word.len()..]);
    }
    shown
}

/// On one line and no longer than fits; the middle tells least.
fn short(statement: &str) -> String {
    let words: Vec<_> = statement.split_whitespace().collect();
    let all: Vec<char> = words.join(" ").chars().collect();
    if all.len() <= SHOWN {
        return all.into_iter().collect();
    }
    let (head, tail) = (&all[..SHOWN / 3], &all[all.len() - SHOWN * 2 / 3..]);
    format!(
        "{} .. {}",
        head.iter().collect::<String>(),
        tail.iter().collect::<String>()
    )
}
