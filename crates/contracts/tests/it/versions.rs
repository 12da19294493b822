//! The newest consumer reads what every older version wrote, and each of these reads what the newest writes.
//!
//! `golden/` has what the newest writes: of each type its example, `.full` with every field, `.bare` with those alone that it
//! must have. `golden/released/<version>/` has the same of each version that is or was in production, named by its commit,
//! `released/<version>.rs` the types by which it reads. Neither changes once it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use contracts::EventData;
use contracts::events::{EmailSent, UserRegistered, UserUpdated};
use contracts::topology::{QUEUES, TYPES};
use serde_json::Value;

use crate::released::{Reader, readers};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden")
}

/// The messages of a folder: file name, type and text.
fn messages(folder: &Path) -> Vec<(String, String, String)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut found: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let kind = name.trim_end_matches(".full").trim_end_matches(".bare").to_owned();
            (name, kind, fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// The versions that have a folder.
fn versions() -> BTreeSet<String> {
    let entries = fs::read_dir(golden().join("released")).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

/// A type as the newest has it.
struct Newest {
    read: Reader,
    example: fn() -> String,
}

fn newest() -> BTreeMap<&'static str, Newest> {
    fn of<T: EventData>() -> (&'static str, Newest) {
        let newest = Newest {
            read: |text| serde_json::from_str::<T>(text).and_then(serde_json::to_value),
            example: || serde_json::to_string_pretty(&T::example()).unwrap(),
        };
        (T::TYPE, newest)
    }
    [of::<UserRegistered>(), of::<UserUpdated>(), of::<EmailSent>()].into()
}

/// Whether `read` has every member of `written` that is not unknown to it, with its value.
fn understood(written: &str, read: &Value) -> bool {
    let written: Value = serde_json::from_str(written).unwrap();
    let (written, read) = (written.as_object().unwrap(), read.as_object().unwrap());
    read.iter()
        .all(|(name, value)| written.get(name).is_none_or(|there| there == value))
}

#[test]
fn the_newest_consumer_reads_what_every_older_version_wrote() {
    let newest = newest();
    for version in versions() {
        let messages = messages(&golden().join("released").join(&version));
        assert!(!messages.is_empty(), "{version} has no messages");
        for (name, kind, text) in messages {
            let Some(newest) = newest.get(kind.as_str()) else {
                panic!("{version}: nobody reads {kind} any more: a queue may still hold one");
            };
            let read = (newest.read)(&text).unwrap_or_else(|error| panic!("{version}: {name}: {error}"));
            let written: Value = serde_json::from_str(&text).unwrap();
            // Of what it wrote nothing is lost, and nothing means something else.
            for (member, value) in written.as_object().unwrap() {
                assert_eq!(&read[member], value, "{version}: {name}: {member}");
            }
        }
    }
}

#[test]
fn every_older_consumer_reads_what_the_newest_writes() {
    for version in versions() {
        let readers: BTreeMap<_, _> = readers(&version).iter().copied().collect();
        assert!(!readers.is_empty(), "copy its types to tests/it/released/{version}.rs");
        for (name, kind, text) in messages(&golden()) {
            // A type that it does not know has no queue of its own, and goes to the unrouted.
            let Some(read) = readers.get(kind.as_str()) else {
                continue;
            };
            let read = read(&text).unwrap_or_else(|error| panic!("{version} can't read {name}: {error}"));
            assert!(
                understood(&text, &read),
                "{version} takes {name} for something else: {read}"
            );
        }
    }
}

#[test]
fn each_type_has_its_messages_in_the_newest_form() {
    let newest = newest();
    let bound: BTreeSet<_> = QUEUES.iter().flat_map(|queue| queue.bindings).copied().collect();
    assert_eq!(
        newest.keys().copied().collect::<BTreeSet<_>>(),
        bound,
        "name it in `newest`"
    );
    let described: BTreeSet<_> = TYPES.iter().map(|event| event.kind).collect();
    assert_eq!(described, bound, "name it in topology::TYPES");
    let there: BTreeSet<String> = messages(&golden()).into_iter().map(|(name, _, _)| name).collect();
    for kind in bound {
        for name in [kind.to_owned(), format!("{kind}.full"), format!("{kind}.bare")] {
            assert!(there.contains(&name), "golden/{name}.json is missing");
        }
    }
    // What is read is written again in the same bytes: nothing is there that the type does not have.
    for (name, kind, text) in messages(&golden()) {
        let written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((newest[kind.as_str()].read)(&text).unwrap(), written, "{name}");
    }
}

#[test]
fn each_example_keeps_its_bytes() {
    for (kind, newest) in newest() {
        let golden = fs::read_to_string(golden().join(format!("{kind}.json"))).unwrap();
        assert_eq!((newest.example)(), golden.trim_end(), "{kind}");
    }
}

#[test]
fn a_message_without_optional_fields_has_no_other_and_the_full_one_has_all() {
    for event in TYPES {
        let schema = (event.schema)().to_value();
        let required: BTreeSet<_> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        let all: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        for (form, members) in [("bare", required), ("full", all)] {
            let text = fs::read_to_string(golden().join(format!("{}.{form}.json", event.kind))).unwrap();
            let written: Value = serde_json::from_str(&text).unwrap();
            let names: BTreeSet<_> = written.as_object().unwrap().keys().cloned().collect();
            assert_eq!(names, members, "{}.{form}.json", event.kind);
        }
    }
}

#[test]
fn the_version_in_production_has_its_messages_here() {
    let previous = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/previous");
    let previous = fs::read_to_string(previous).unwrap();
    let short = previous.trim().get(..7).unwrap_or_default();
    assert!(
        versions().contains(short),
        "deploy/previous names {previous}: copy golden/*.json to golden/released/{short}/, and its types beside them"
    );
}
