//! A note has ten parts in one order, and the length of a note.

use guide::markdown::{Kind, Page};

/// The headings of the parts, in English and in Chinese.
const PARTS: [(&str, &str); 10] = [
    ("1. The problem, as a user sees it", "1. 用户看到的问题"),
    ("2. The idea", "2. 思路"),
    ("3. The smallest code that does it", "3. 最小的实现"),
    ("4. What that gets wrong", "4. 最小的实现错在哪里"),
    ("5. How this code does it", "5. 本仓库的做法"),
    ("6. How to watch it", "6. 如何观察"),
    ("7. When not to use it", "7. 什么时候不该用"),
    ("8. What the big systems do", "8. 大型系统的做法"),
    ("9. Sources", "9. 资料来源"),
    ("10. Five questions", "10. 五个问题"),
];
const LENGTH: std::ops::RangeInclusive<usize> = 300..=600;

pub(crate) fn breaks(page: &Page) -> Vec<String> {
    if !page.file.contains("/notes/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !LENGTH.contains(&page.lines) {
        found.push(format!(
            "has {} lines, and is to have {} to {}",
            page.lines,
            LENGTH.start(),
            LENGTH.end()
        ));
    }
    let is_english = page.file.contains("/en/");
    let wanted = PARTS.map(|(english, chinese)| if is_english { english } else { chinese });
    let parts: Vec<_> = page
        .headings()
        .filter(|(_, level, _)| *level == 2)
        .map(|(_, _, text)| text)
        .collect();
    if parts != wanted {
        found.push(format!("has the parts {parts:?}, and is to have {wanted:?}"));
        return found
            .into_iter()
            .map(|broken| format!("{} {broken}", page.file))
            .collect();
    }
    let drawings = count(page, wanted[1], "mermaid");
    if drawings != 1 {
        found.push(format!("has {drawings} drawings in part 2, and is to have one"));
    }
    found.extend(faults_without_command(page, wanted[3]));
    let questions = folded(page, wanted[9]);
    if questions != 5 {
        found.push(format!(
            "has {questions} questions with a folded answer in part 10, and is to have 5"
        ));
    }
    found
        .into_iter()
        .map(|broken| format!("{} {broken}", page.file))
        .collect()
}

/// The kinds of what stands below the heading of level 2 `part`.
fn below<'a>(page: &'a Page, part: &'a str) -> impl Iterator<Item = &'a Kind> {
    let is_part = move |kind: &Kind| matches!(kind, Kind::Heading { level: 2, text } if text == part);
    let kinds = page.blocks.iter().map(|block| &block.kind);
    let kinds = kinds.skip_while(move |kind| !is_part(kind)).skip(1);
    kinds.take_while(|kind| !matches!(kind, Kind::Heading { level: 2, .. }))
}

fn count(page: &Page, part: &str, language: &str) -> usize {
    let fences = below(page, part).filter(|kind| matches!(kind, Kind::Fence(fence) if fence.language == language));
    fences.count()
}

/// Each fault has a heading of its own and a command that makes it happen.
fn faults_without_command(page: &Page, part: &str) -> Vec<String> {
    let mut faults: Vec<(&str, bool)> = Vec::new();
    for kind in below(page, part) {
        match kind {
            Kind::Heading { level: 3, text } => faults.push((text, false)),
            Kind::Fence(fence) if fence.language == "sh" => {
                if let Some((_, is_shown)) = faults.last_mut() {
                    *is_shown = true;
                }
            }
            _ => {}
        }
    }
    let mut found: Vec<_> = faults
        .iter()
        .filter(|(_, is_shown)| !is_shown)
        .map(|(fault, _)| format!("shows `{fault}` by no command"))
        .collect();
    if faults.is_empty() {
        found.push("names no fault in part 4".to_owned());
    }
    found
}

fn folded(page: &Page, part: &str) -> usize {
    let tags = below(page, part).filter_map(|kind| match kind {
        Kind::Prose(text) => Some(text.matches("<details>").count()),
        Kind::Heading { .. } | Kind::Fence(_) => None,
    });
    tags.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> String {
        let parts = PARTS.map(|(english, _)| format!("## {english}\n\nWords.\n"));
        let mut text = format!("# A note\n\n{}", parts.join("\n"));
        text = text.replace(
            &format!("{}\n", PARTS[1].0),
            &format!("{}\n\n```mermaid\nflowchart LR\n```\n", PARTS[1].0),
        );
        text = text.replace(
            &format!("{}\n", PARTS[3].0),
            &format!("{}\n\n### A fault\n\n```sh\nls\n```\n", PARTS[3].0),
        );
        text.push_str(&"\n<details>\n<summary>Why?</summary>\n\nSo.\n\n</details>\n".repeat(5));
        text + &"\n".repeat(250)
    }

    fn of(text: &str) -> String {
        breaks(&Page::parse("docs/guide/en/notes/01_a.md", text)).join("\n")
    }

    #[test]
    fn a_note_with_its_parts_passes_and_other_pages_are_not_judged() {
        assert_eq!(of(&note()), "");
        assert!(breaks(&Page::parse("docs/guide/en/README.md", "# A")).is_empty());
    }

    #[test]
    fn what_a_note_lacks_is_named() {
        let without = |from: &str, to: &str| of(&note().replacen(from, to, 1));
        assert!(of("# A note").contains("has 1 lines"));
        assert!(without("## 7.", "## 8.").contains("has the parts"));
        assert!(without("mermaid", "text").contains("0 drawings"));
        assert!(without("```sh\nls\n```", "").contains("shows `A fault` by no command"));
        assert!(without("### A fault", "").contains("names no fault"));
        assert!(without("<details>", "").contains("4 questions"));
    }
}
