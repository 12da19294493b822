//! docs/delivery-guarantees.md, docs/caching.md, docs/degradation.md, docs/protection.md, docs/overload.md,
//! docs/messaging.md and docs/kafka.md name the test of each promise; each test that breaks something stands in some page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::telemetry::ALL_METRICS;

/// How each dependency may fail; where there is no such way, its rows say why.
const WAYS: [&str; 3] = ["gone", "slow", "wrong"];

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
    let (mut dependency, mut ways) = ("", BTreeMap::<_, Vec<_>>::new());
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, how, works, _, _, healed_by, shown_by, named] = cells[..] else {
            panic!("{row}: {} cells", cells.len());
        };
        if !what.is_empty() {
            dependency = what;
        }
        ways.entry(dependency).or_default().push(how);
        for cell in [how, works, healed_by, shown_by] {
            assert!(!cell.is_empty(), "{row}: an empty cell");
        }
        assert!(ticked(named).count() > 0, "{row}: names no test");
        for name in ticked(named) {
            assert!(tests.contains(name), "{row}: no test is called {name}");
        }
        let is_metric = |word: &&str| word.starts_with("waypost_") || word.starts_with("http_");
        let metrics: Vec<_> = ticked(shown_by).filter(is_metric).collect();
        let is_shown = !metrics.is_empty() || shown_by.starts_with("no metric: ");
        assert!(is_shown, "{row}: neither a metric nor why there is none");
        for metric in metrics {
            let is_known = ALL_METRICS.iter().any(|known| known.name == metric);
            assert!(is_known, "{row}: no metric is called {metric}");
        }
    }
    assert_eq!(ways.len(), 10, "{ways:?}");
    for (dependency, ways) in ways {
        for way in WAYS {
            let is_there = ways.iter().any(|how| how.contains(way));
            assert!(is_there, "{dependency}: no row says what happens when it is {way}");
        }
    }
}

#[test]
fn each_fault_that_is_tried_stands_in_a_page() {
    let mut tests = BTreeSet::new();
    collect(&root().join("crates/waypost/tests/it/faults"), &mut tests);
    assert!(tests.len() >= 30, "{tests:?}");
    let pages = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|page| page.unwrap().path());
    let pages: Vec<_> = pages
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
        .map(|page| fs::read_to_string(page).unwrap())
        .collect();
    for test in tests {
        let name = format!("`{test}`");
        assert!(
            pages.iter().any(|page| page.contains(&name)),
            "{name} stands in no page"
        );
    }
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page of the documentation, and the names of all tests.
fn page_and_tests(name: &str) -> (String, BTreeSet<String>) {
    let mut tests = BTreeSet::new();
    collect(&root().join("crates"), &mut tests);
    (
        fs::read_to_string(root().join(format!("docs/{name}.md"))).unwrap(),
        tests,
    )
}

/// What stands between backticks.
fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A name as our tests have it: a sentence.
fn is_test(word: &str) -> bool {
    word.matches('_').count() >= 4 && is_name(word) && !word.starts_with("waypost_")
}

/// The names of all tests below a folder.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_of(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The functions of a file below an attribute that makes a test, and those in the list of a macro that makes some.
fn tests_of(text: &str) -> BTreeSet<String> {
    let (mut tests, mut is_marked, mut is_listed) = (BTreeSet::new(), false, false);
    for line in text.lines() {
        let listed = line.trim().strip_suffix(',');
        let listed = listed.filter(|name| is_listed && is_name(name));
        // A macro that stands by itself, and not within a function, as an assertion does.
        is_listed = listed.is_some() || line.ends_with("!(") && !line.starts_with(' ');
        tests.extend(listed.map(str::to_owned));
        is_marked |= is_test_attribute(line.trim());
        if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_marked) {
            tests.extend(rest.split(['(', '<']).next().map(str::to_owned));
            is_marked = false;
        }
    }
    tests
}

/// `#[test]`, `#[tokio::test(..)]` and the like.
fn is_test_attribute(line: &str) -> bool {
    let path = line.strip_prefix("#[").and_then(|rest| rest.split([']', '(']).next());
    path.is_some_and(|path| path == "test" || path.ends_with("::test"))
}

fn is_name(word: &str) -> bool {
    word.chars()
        .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
}

#[test]
fn a_function_that_only_tests_call_is_no_test() {
    let text = [
        "on_both!(",
        "    what_is_listed,",
        ");",
        "async fn what_is_listed() {}",
        "#[tokio::test(flavor = \"multi_thread\")]",
        "#[ignore = \"takes minutes\"]",
        "async fn what_is_marked() {",
        "    assert_eq!(",
        "        what_helps,",
        "        what_helps().await,",
        "    );",
        "}",
        "async fn what_helps() {}",
    ];
    let tests = ["what_is_listed", "what_is_marked"].map(str::to_owned);
    assert_eq!(tests_of(&text.join("\n")), BTreeSet::from(tests));
}
