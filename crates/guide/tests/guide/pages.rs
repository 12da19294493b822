//! Every rule over every page.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use guide::markdown::{LANGUAGES, Page};

use crate::{fences, figures, languages, links, notes, sets};

pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages of a language.
pub(crate) fn of(language: &str) -> Vec<Page> {
    guide::markdown::pages(&top(), language).unwrap()
}

fn all() -> Vec<Page> {
    LANGUAGES.into_iter().flat_map(of).collect()
}

fn none_breaks(rule: impl Fn(&Page) -> Vec<String>) {
    let found: Vec<_> = all().iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{} breaks\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_fence_has_what_runs_it_and_every_quote_is_as_its_source() {
    none_breaks(|page| fences::breaks(&top(), page));
}

#[test]
fn every_link_within_the_repository_leads_to_what_is_there() {
    none_breaks(|page| links::breaks(&top(), page));
    let outside: BTreeSet<_> = all().iter().flat_map(links::outside).collect();
    println!("{} links lead outside, and are not followed:", outside.len());
    for link in outside {
        println!("  {link}");
    }
}

#[test]
fn every_figure_says_where_it_is_from() {
    none_breaks(|page| figures::breaks(&top(), page));
}

#[test]
fn every_note_has_its_parts_in_their_order() {
    none_breaks(notes::breaks);
}

#[test]
fn every_note_has_an_example_of_80_to_150_lines() {
    for page in of(LANGUAGES[0]).iter().filter(|page| page.file.contains("/notes/")) {
        let name = Path::new(&page.file).file_stem().unwrap().to_string_lossy();
        let file = format!("crates/guide/examples/{name}.rs");
        let text = std::fs::read_to_string(top().join(&file)).unwrap_or_default();
        let lines = text.lines().count();
        assert!((80..=150).contains(&lines), "{file} has {lines} lines");
    }
}

#[test]
fn every_set_of_exercises_has_tasks_checks_hints_and_solutions() {
    none_breaks(sets::breaks);
}

#[test]
fn no_chinese_paragraph_is_wrapped() {
    let found: Vec<_> = of(LANGUAGES[1]).iter().flat_map(languages::wrapped).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn both_languages_have_the_same_pages_with_the_same_bones() {
    let [english, chinese] = LANGUAGES.map(of);
    let found = languages::breaks(&english, &chinese);
    assert!(found.is_empty(), "{} breaks\n{}", found.len(), found.join("\n"));
}
