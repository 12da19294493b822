//! docs/delivery-guarantees.md, docs/caching.md, docs/degradation.md, docs/protection.md, docs/overload.md,
//! docs/messaging.md and docs/kafka.md name the test of each promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::telemetry::ALL_METRICS;

#[test]
fn each_promise_names_tests_that_there_are() {
    let (page, tests) = page_and_tests("delivery-guarantees");
    for (number, line) in page.lines().enumerate() {
        let is_promise = line.starts_with("- ")
            || line
                .split_once(". ")
                .is_some_and(|(start, _)| start.parse::<u8>().is_ok());
        let named: Vec<_> = ticked(line).filter(|word| is_test(word)).collect();
        assert_eq!(is_promise, !named.is_empty(), "line {}: {line}", number + 1);
        for name in named {
            assert!(tests.contains(name), "line {}: no test is called {name}", number + 1);
        }
    }
}

#[test]
fn each_strategy_of_the_cache_names_tests_that_there_are() {
    let (page, tests) = page_and_tests("caching");
    for strategy in page.split("\n## ").skip(1) {
        let (title, text) = strategy.split_once('\n').unwrap();
        let named = text.lines().find_map(|line| line.strip_prefix("- **Test:** "));
        let named = named.unwrap_or_else(|| panic!("{title} names no test"));
        for name in ticked(named) {
            assert!(tests.contains(name), "{title}: no test is called {name}");
        }
    }
}

#[test]
fn each_way_in_which_a_dependency_fails_names_tests_and_metrics_that_there_are() {
    let (page, tests) = page_and_tests("degradation");
    let rows = page.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut dependencies = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, how, works, _, _, healed_by, shown_by, named] = cells[..] else {
            panic!("{row}: {} cells", cells.len());
        };
        dependencies.extend((!what.is_empty()).then_some(what));
        for cell in [how, works, healed_by, shown_by] {
            assert!(!cell.is_empty(), "{row}: an empty cell");
        }
        assert!(ticked(named).count() > 0, "{row}: names no test");
        for name in ticked(named) {
            assert!(tests.contains(name), "{row}: no test is called {name}");
        }
        let is_metric = |word: &&str| word.starts_with("waypost_") || word.starts_with("http_");
        for metric in ticked(shown_by).filter(is_metric) {
            let is_known = ALL_METRICS.iter().any(|known| known.name == metric);
            assert!(is_known, "{row}: no metric is called {metric}");
        }
    }
    assert_eq!(dependencies.len(), 10, "{dependencies:?}");
}

#[test]
fn protection_overload_messaging_and_kafka_name_tests_that_there_are() {
    for name in ["protection", "overload", "messaging", "kafka"] {
        let (page, tests) = page_and_tests(name);
        let named: Vec<_> = ticked(&page).filter(|word| is_test(word)).collect();
        assert!(named.len() >= 5, "{name} names {named:?} only");
        for test in named {
            assert!(tests.contains(test), "{name}: no test is called {test}");
        }
    }
}

/// A page of the documentation, and the names of all functions, which those of the tests are among.
fn page_and_tests(name: &str) -> (String, BTreeSet<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = BTreeSet::new();
    collect(&root.join("crates"), &mut tests);
    (fs::read_to_string(root.join(format!("docs/{name}.md"))).unwrap(), tests)
}

/// What stands between backticks.
fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A name as our tests have it: a sentence.
fn is_test(word: &str) -> bool {
    word.matches('_').count() >= 4
        && word
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
        && !word.starts_with("waypost_")
}

/// The names of all functions below a folder.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let functions = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split(['(', '<']).next());
            names.extend(functions.map(str::to_owned));
        }
    }
}
