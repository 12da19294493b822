//! A set of exercises: each has a task, what it needs, how it is checked, three hints and a solution.

use guide::markdown::{Kind, Page};

/// The least that a set has.
const LEAST: usize = 6;
/// Three hints and a solution.
const FOLDED: usize = 4;

pub(crate) fn breaks(page: &Page) -> Vec<String> {
    if !page.file.contains("/exercises/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let sections = sections(page);
    if sections.len() < LEAST {
        found.push(format!(
            "has {} exercises, and is to have {LEAST} at least",
            sections.len()
        ));
    }
    for (title, kinds) in sections {
        let headings = kinds
            .iter()
            .filter(|kind| matches!(kind, Kind::Heading { level: 3, .. }))
            .count();
        if headings != 3 {
            found.push(format!(
                "`{title}` has {headings} parts, and is to have three: task, what you need, how to check"
            ));
        }
        let folded: usize = kinds
            .iter()
            .map(|kind| {
                if let Kind::Prose(text) = kind {
                    text.matches("<details>").count()
                } else {
                    0
                }
            })
            .sum();
        if folded != FOLDED {
            found.push(format!(
                "`{title}` has {folded} folded parts, and is to have three hints and a solution"
            ));
        }
        let named = named(&kinds);
        if named.as_deref().and_then(guide::exercises::find).is_none() {
            found.push(format!(
                "`{title}` is checked by `make exercise E={}`, which there is not",
                named.unwrap_or_default()
            ));
        }
    }
    found
        .into_iter()
        .map(|broken| format!("{} {broken}", page.file))
        .collect()
}

/// The exercises, each with what stands below its heading.
pub(crate) fn sections(page: &Page) -> Vec<(&str, Vec<&Kind>)> {
    let mut sections: Vec<(&str, Vec<&Kind>)> = Vec::new();
    for block in &page.blocks {
        match (&block.kind, sections.last_mut()) {
            (Kind::Heading { level: 2, text }, _) => sections.push((text, Vec::new())),
            (kind, Some((_, kinds))) => kinds.push(kind),
            _ => {}
        }
    }
    sections
}

/// The exercise that the first `make exercise E=..` of a section names.
pub(crate) fn named(kinds: &[&Kind]) -> Option<String> {
    let mut commands = kinds.iter().filter_map(|kind| match kind {
        Kind::Fence(fence) if fence.language == "sh" => Some(fence.text.as_str()),
        _ => None,
    });
    commands.find_map(|text| {
        let (_, behind) = text.split_once("make exercise E=")?;
        behind.split_whitespace().next().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXERCISE: &str =
        "## 1. One\n\n### Task\n\n### What you need\n\n### How to check\n\n```sh\nmake exercise E=cache-1 A=1\n```\n";

    fn set() -> String {
        let folded = "<details>\n\nx\n\n</details>\n\n".repeat(FOLDED);
        format!("# Set\n\n{}", format!("{EXERCISE}\n{folded}").repeat(LEAST))
    }

    fn of(text: &str) -> String {
        breaks(&Page::parse("docs/guide/en/exercises/01_a.md", text)).join("\n")
    }

    #[test]
    fn a_whole_set_passes() {
        assert_eq!(of(&set()), "");
    }

    #[test]
    fn what_a_set_lacks_is_named() {
        let without = |from: &str, to: &str| of(&set().replacen(from, to, 1));
        assert!(of(EXERCISE).contains("has 1 exercises"));
        assert!(without("### Task", "").contains("has 2 parts"));
        assert!(without("<details>", "").contains("has 3 folded parts"));
        assert!(without("E=cache-1", "E=nothing-1").contains("E=nothing-1`, which there is not"));
    }
}
