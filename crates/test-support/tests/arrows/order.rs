//! Holds the order in which the top modules of a crate may use each other.

use std::collections::BTreeMap;

use crate::arrows::Arrows;
use crate::tree::{ROOT, Tree};

/// The names in the list of a root's documentation: lines of the form ``//! - [`name`]: what it is``.
pub(crate) fn listed(root: &str) -> Vec<&str> {
    let lines = root.lines().filter_map(|line| line.strip_prefix("//! - [`"));
    lines.filter_map(|line| Some(line.split_once('`')?.0)).collect()
}

/// Describes each arrow from a module to one that is not listed above it, and each gap in the list.
pub(crate) fn breaks(tree: &Tree, arrows: &Arrows, listed: &[&str]) -> Vec<String> {
    let places: BTreeMap<_, _> = listed.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    let mut found = Vec::new();
    let tops = &tree.modules[ROOT].children;
    for name in tops.keys().filter(|name| !places.contains_key(name.as_str())) {
        found.push(format!("`{name}` is missing in the list"));
    }
    for name in listed.iter().filter(|name| !tops.contains_key(**name)) {
        found.push(format!("`{name}` is listed and is no module"));
    }
    let top_of = |file| Some(tree.modules[*tree.way_to(file).get(1)?].name.as_str());
    for (&(from, to), line) in arrows {
        let (Some(user), Some(other)) = (top_of(from), top_of(to)) else {
            continue;
        };
        let (Some(place), Some(other_place)) = (places.get(user), places.get(other)) else {
            continue;
        };
        if other_place > place {
            let (from, to) = (tree.modules[from].file.display(), tree.modules[to].file.display());
            found.push(format!("{from}:{line} uses {to}: `{other}` is listed below `{user}`"));
        }
    }
    found
}
