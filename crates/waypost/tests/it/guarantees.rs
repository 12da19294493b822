//! docs/delivery-guarantees.md and docs/caching.md name the test of each promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn each_promise_names_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/delivery-guarantees.md")).unwrap();
    let mut tests = BTreeSet::new();
    collect(&root.join("crates"), &mut tests);
    for (number, line) in page.lines().enumerate() {
        let is_promise = line.starts_with("- ")
            || line
                .split_once(". ")
                .is_some_and(|(start, _)| start.parse::<u8>().is_ok());
        let named: Vec<_> = line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| is_test(word))
            .collect();
        assert_eq!(is_promise, !named.is_empty(), "line {}: {line}", number + 1);
        for name in named {
            assert!(tests.contains(name), "line {}: no test is called {name}", number + 1);
        }
    }
}

#[test]
fn each_strategy_of_the_cache_names_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/caching.md")).unwrap();
    let mut tests = BTreeSet::new();
    collect(&root.join("crates"), &mut tests);
    for strategy in page.split("\n## ").skip(1) {
        let (title, text) = strategy.split_once('\n').unwrap();
        let named = text.lines().find_map(|line| line.strip_prefix("- **Test:** "));
        let named = named.unwrap_or_else(|| panic!("{title} names no test"));
        for name in named.split('`').skip(1).step_by(2) {
            assert!(tests.contains(name), "{title}: no test is called {name}");
        }
    }
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
