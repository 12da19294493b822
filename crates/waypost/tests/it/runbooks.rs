//! Each alert leads to its page in docs/runbooks, and each page belongs to an alert and names what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::config::{ConfigError, Service, Settings};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const PAGES: &str = "docs/runbooks";
const PARTS: [&str; 5] = ["Means", "People see", "Look", "Do", "Heals by itself"];

#[test]
fn each_alert_leads_to_a_page_that_says_what_to_do() {
    let index = read(&format!("{PAGES}/README.md"));
    for (alert, page) in alerts() {
        assert_eq!(page, format!("{PAGES}/{alert}.md"), "the runbook_url of {alert}");
        let text = read(&page);
        let heading = format!("# {alert}");
        assert_eq!(text.lines().next(), Some(heading.as_str()), "the heading of {page}");
        for part in PARTS {
            assert!(text.contains(&format!("\n- **{part}:** ")), "{page} has no part {part}");
        }
        assert!(
            index.contains(&format!("({alert}.md)")),
            "the index does not name {alert}"
        );
    }
}

#[test]
fn each_page_belongs_to_an_alert() {
    let alerts: BTreeSet<_> = alerts().into_keys().collect();
    let pages: BTreeSet<_> = pages().into_keys().collect();
    assert_eq!(pages, alerts);
}

#[test]
fn the_commands_and_settings_that_a_page_names_are_there() {
    let waypost = test_support::workspace_binary("waypost");
    let mut commands = BTreeSet::new();
    for (alert, text) in pages() {
        for line in code(&text).flat_map(str::lines).map(str::trim) {
            if let Some(command) = line.strip_prefix("waypost ") {
                commands.extend(command.split_whitespace().next().map(str::to_owned));
            }
            for setting in line.split_whitespace().filter(|word| word.starts_with("WAYPOST__")) {
                let name = setting.split('=').next().unwrap_or_default();
                assert!(is_known(name), "{alert}: nobody reads {name}");
            }
        }
    }
    assert!(commands.contains("migrate"), "{commands:?}");
    for command in commands {
        let help = Command::new(&waypost)
            .args([command.as_str(), "--help"])
            .output()
            .unwrap();
        assert!(help.status.success(), "there is no `waypost {command}`");
    }
}

/// The alerts, each with its `runbook_url`, which is empty where there is none.
fn alerts() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut alert = String::new();
    for line in read(ALERTS).lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            name.clone_into(&mut alert);
            found.insert(alert.clone(), String::new());
        } else if let Some(page) = line.strip_prefix("runbook_url: ") {
            found.insert(alert.clone(), page.to_owned());
        }
    }
    assert!(found.len() > 20, "{ALERTS} is not read: {found:?}");
    found
}

/// The pages by the names of their files, without the index.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(root().join(PAGES)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        pages.insert(name, fs::read_to_string(&path).unwrap());
    }
    pages.remove("README");
    pages
}

/// What stands between backticks, blocks of commands included.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether somebody reads this variable. What it may hold is not asked.
fn is_known(variable: &str) -> bool {
    let set = vec![(variable.to_owned(), "x".to_owned())];
    let loaded = Settings::load_shared_from(Service::UserApi, None, set);
    !matches!(loaded, Err(ConfigError::Unknown { .. }))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
