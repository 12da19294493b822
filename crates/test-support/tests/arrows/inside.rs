//! The rules for the arrows inside each crate of the workspace.

use std::collections::BTreeSet;

use crate::arrows::arrows;
use crate::tree::Tree;
use crate::{circles, order, workspace};

#[test]
fn no_files_and_no_modules_form_a_circle() {
    let found: Vec<_> = workspace::sources()
        .iter()
        .flat_map(|tree| circles::circles(tree, &arrows(tree)))
        .collect();
    assert!(found.is_empty(), "{} circles\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_front_declares_and_re_exports_and_defines_nothing() {
    let sources = workspace::sources();
    let found: Vec<_> = sources.iter().flat_map(Tree::defining_fronts).collect();
    assert!(
        found.is_empty(),
        "move it to a file with a name of its own:\n{}",
        found.join("\n")
    );
}

#[test]
fn the_modules_of_common_keep_the_order_of_its_list() {
    let listing = include_str!("../../../common/src/lib.rs");
    let listed = order::listed(listing);
    assert!(!listed.is_empty(), "crates/common/src/lib.rs lists its modules");
    let sources = workspace::sources();
    let common = sources
        .iter()
        .find(|tree| tree.modules[0].file.ends_with("crates/common/src/lib.rs"))
        .expect("common");
    let found = order::breaks(common, &arrows(common), &listed);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_is_read_but_those_of_tests() {
    let sources = workspace::sources();
    let read: BTreeSet<_> = sources
        .iter()
        .flat_map(|tree| &tree.modules)
        .map(|module| &module.file)
        .collect();
    let files = workspace::files();
    let is_of_tests = |stem: &str| stem == "tests" || stem.ends_with("_tests");
    let unread: Vec<_> = files
        .iter()
        .filter(|file| !read.contains(file))
        .filter(|file| !file.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_of_tests))
        .collect();
    assert!(unread.is_empty(), "declared by no `mod` that can be read: {unread:?}");
}
