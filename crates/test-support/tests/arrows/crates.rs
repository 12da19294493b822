//! Holds the arrows between crates: who may depend on whom, and who may know which library.
//!
//! Reads `cargo metadata`, so that a line in a Cargo.toml that turns an arrow round fails here with
//! the rule it breaks. Development dependencies are free, except that no crate ever gets
//! `test-support` into a binary.
use std::collections::{BTreeMap, BTreeSet};

use crate::workspace;

const SERVICES: [&str; 3] = ["user-api", "email-worker", "notification-gateway"];
const DEVELOPMENT: [&str; 2] = ["test-support", "bench"];
const LEAVES: [&str; 3] = ["common-passwords", "migrations", "provider-sandbox"];

/// A library, and the only crates that may know it.
const KEEPERS: [(&str, &[&str]); 5] = [
    ("lapin", &["common"]),
    ("rdkafka", &["common"]),
    (
        "sea-orm",
        &[
            "common",
            "migrations",
            "user-api",
            "email-worker",
            "notification-gateway",
            "waypost",
        ],
    ),
    (
        "actix-web",
        &[
            "common",
            "connections",
            "user-api",
            "notification-gateway",
            "provider-sandbox",
            "waypost",
        ],
    ),
    ("reqwest-middleware", &["common", "notification-gateway"]),
];

/// Names of the normal and build dependencies of each crate of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    workspace::packages()
        .iter()
        .map(|package| {
            let names = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                .collect();
            (package["name"].as_str().expect("name").to_owned(), names)
        })
        .collect()
}

/// The crates of ours that a crate depends on.
fn ours(all: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    all[name]
        .iter()
        .filter(|dependency| all.contains_key(*dependency))
        .cloned()
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_crate_depends_only_on_what_stands_below_it() {
    let all = dependencies();
    let mut allowed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    allowed.insert("common-passwords", set(&[]));
    allowed.insert("contracts", set(&[]));
    allowed.insert("connections", set(&[]));
    allowed.insert("common", set(&["connections", "contracts"]));
    allowed.insert("migrations", set(&[]));
    allowed.insert("provider-sandbox", set(&["common-passwords", "connections"]));
    allowed.insert("test-support", set(&[]));
    for service in SERVICES {
        let mut below = set(&["common", "contracts"]);
        below.extend(set(&LEAVES));
        allowed.insert(service, below);
    }
    let mut below = set(&["common", "connections", "contracts"]);
    below.extend(set(&SERVICES));
    below.extend(set(&LEAVES));
    allowed.insert("waypost", below);

    // Development only: it runs every service beside its ceiling. Nothing depends on it: it is in no other's list.
    let mut below = set(&["common", "contracts", "test-support"]);
    below.extend(set(&SERVICES));
    below.extend(set(&LEAVES));
    allowed.insert("bench", below);

    // Development only: what people learn by. It shows `common` without any service; nothing depends on it.
    allowed.insert("guide", set(&["common", "contracts", "migrations"]));

    for name in all.keys() {
        let Some(allowed) = allowed.get(name.as_str()) else {
            panic!("{name} is new: say in tests/arrows/crates.rs where it stands");
        };
        let wrong: Vec<_> = ours(&all, name).difference(allowed).cloned().collect();
        assert!(wrong.is_empty(), "{name} must not depend on {wrong:?}");
    }
}

#[test]
fn no_service_depends_on_a_service() {
    let all = dependencies();
    for service in SERVICES {
        let wrong: Vec<_> = ours(&all, service)
            .into_iter()
            .filter(|other| SERVICES.contains(&other.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{service} must not depend on {wrong:?}");
    }
}

#[test]
fn contracts_know_only_data() {
    let all = dependencies();
    // `strum` makes the list of an enum's variants.
    let allowed = set(&["schemars", "serde", "strum", "time", "uuid"]);
    let wrong: Vec<_> = all["contracts"].difference(&allowed).collect();
    assert!(wrong.is_empty(), "contracts must not know {wrong:?}");
}

#[test]
fn a_library_is_known_only_to_its_keepers() {
    for (name, dependencies) in dependencies() {
        // Development only, on nobody's way into a binary: they start and ask real servers.
        if DEVELOPMENT.contains(&name.as_str()) {
            continue;
        }
        for (library, keepers) in KEEPERS {
            assert!(
                !dependencies.contains(library) || keepers.contains(&name.as_str()),
                "{name} must not know {library}; only {keepers:?} may"
            );
        }
    }
}

#[test]
fn test_support_is_in_no_binary() {
    for (name, dependencies) in dependencies() {
        if name == "bench" {
            continue;
        }
        assert!(
            !dependencies.contains("test-support"),
            "{name} has test-support outside its dev-dependencies"
        );
    }
}
