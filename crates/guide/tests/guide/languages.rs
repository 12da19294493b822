//! Both languages have the same pages, and each page the same bones: headings, fences, markers, links, images.

use std::collections::BTreeMap;

use guide::markdown::{Fence, Kind, Page};

/// Fences whose words are translated; the number of lines stays.
const DRAWN: &str = "mermaid";

pub(crate) fn breaks(english: &[Page], chinese: &[Page]) -> Vec<String> {
    let (english, chinese) = (by_name(english), by_name(chinese));
    let mut found = Vec::new();
    for name in english.keys().filter(|name| !chinese.contains_key(*name)) {
        found.push(format!("docs/guide/zh/{name} is missing"));
    }
    for name in chinese.keys().filter(|name| !english.contains_key(*name)) {
        found.push(format!("docs/guide/en/{name} is missing"));
    }
    for (name, english) in &english {
        if let Some(chinese) = chinese.get(name)
            && let Some(broken) = difference(&bones(english), &bones(chinese))
        {
            found.push(format!("{name}: {broken}"));
        }
    }
    found
}

/// Chinese paragraphs that are wrapped: whoever shows the page puts a blank there, in the middle of a sentence.
pub(crate) fn wrapped(page: &Page) -> Vec<String> {
    let blocks = page.blocks.iter().filter(|block| match &block.kind {
        Kind::Prose(text) => text.lines().zip(text.lines().skip(1)).any(|(line, next)| {
            let (last, first) = (line.chars().next_back(), next.chars().next());
            !next.starts_with('|') && [last, first].into_iter().flatten().any(is_chinese)
        }),
        Kind::Heading { .. } | Kind::Fence(_) => false,
    });
    let lines = blocks.map(|block| format!("{}:{} is wrapped: one line a paragraph", page.file, block.line));
    lines.collect()
}

/// Whether it is a Chinese character or sign.
fn is_chinese(sign: char) -> bool {
    sign >= '\u{2e80}'
}

fn by_name(pages: &[Page]) -> BTreeMap<String, &Page> {
    let named = pages
        .iter()
        .map(|page| (page.file.splitn(4, '/').nth(3).unwrap_or_default().to_owned(), page));
    named.collect()
}

/// A part of a page that both languages have, and its line.
type Bone = (String, usize);

fn bones(page: &Page) -> Vec<Bone> {
    let mut bones = Vec::new();
    for block in &page.blocks {
        for (name, value) in block
            .markers
            .iter()
            .filter(|(name, _)| name != "shows" && name != "estimates")
        {
            bones.push((format!("marker {name}: {value}"), block.line));
        }
        match &block.kind {
            Kind::Heading { level, text } => {
                let number = text.split_once(". ").map(|(number, _)| number);
                let number = number.filter(|number| number.chars().all(|sign| sign.is_ascii_digit()));
                bones.push((
                    format!("heading of level {level}, number {}", number.unwrap_or("-")),
                    block.line,
                ));
            }
            Kind::Fence(fence) => bones.push((format!("fence {}\n{}", fence.language, compared(fence)), block.line)),
            Kind::Prose(text) => {
                let details = ["<details>", "</details>"]
                    .iter()
                    .map(|tag| text.matches(tag).count())
                    .sum::<usize>();
                bones.extend((0..details).map(|_| ("a tag of <details>".to_owned(), block.line)));
            }
        }
    }
    let links = page.links().into_iter().map(|(line, link)| {
        // Anchors are made of headings, which are translated.
        let file = link.parts().0.replace("/zh/", "/en/").replace("../zh", "../en");
        (format!("{} {file}", if link.is_image { "image" } else { "link" }), line)
    });
    // In a sentence of another language links may stand in another order.
    let mut links: Vec<Bone> = links.collect();
    links.sort();
    bones.extend(links);
    bones
}

/// A fence without what is translated.
fn compared(fence: &Fence) -> String {
    let lines = fence.text.lines();
    match fence.language.as_str() {
        DRAWN => format!(
            "{} in {} lines",
            lines.clone().next().unwrap_or_default(),
            lines.count()
        ),
        "sh" | "toml" | "promql" => lines
            .filter(|line| !line.trim_start().starts_with('#'))
            .map(|line| line.split_once(" # ").map_or(line, |(code, _)| code).trim_end())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => fence.text.clone(),
    }
}

fn difference(english: &[Bone], chinese: &[Bone]) -> Option<String> {
    let at = (0..english.len().max(chinese.len())).find(|at| {
        let of = |bones: &[Bone]| bones.get(*at).map(|(bone, _)| bone.clone());
        of(english) != of(chinese)
    })?;
    let said = |bones: &[Bone]| match bones.get(at) {
        Some((bone, line)) => format!("line {line}: {bone}"),
        None => "nothing more".to_owned(),
    };
    Some(format!("en has {}, zh has {}", said(english), said(chinese)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n## 1. B\n\n<!-- source: a -->\n```sh\nls # look\n```\n\n[c](d.md#e) ![f](g.png)\n";

    fn of(english: &str, chinese: &str) -> String {
        let page = |language: &str, text: &str| [Page::parse(&format!("docs/guide/{language}/a.md"), text)];
        breaks(&page("en", english), &page("zh", chinese)).join("\n")
    }

    #[test]
    fn words_comments_and_anchors_may_differ() {
        let chinese = PAGE.replace("# look", "# 看").replace('B', "乙").replace("#e", "#戊");
        assert_eq!(of(PAGE, &chinese), "");
    }

    #[test]
    fn a_chinese_paragraph_that_is_wrapped_is_named() {
        let of = |text: &str| wrapped(&Page::parse("a.md", text));
        assert!(of("读十次，\n再读一次。")[0].contains("a.md:1 is wrapped"));
        assert!(of("读十次。\n\n| 读 |\n|---|\n| 写 |").is_empty());
    }

    #[test]
    fn what_is_missing_on_one_side_is_named() {
        for (from, to, named) in [
            ("## 1. B", "## 2. B", "number 1"),
            ("## 1. B", "### 1. B", "level 3"),
            ("ls #", "ls -l #", "ls -l"),
            ("source: a", "source: b", "marker source: b"),
            ("[c](d.md#e)", "c", "link d.md"),
            ("![f](g.png)", "", "image g.png"),
        ] {
            let found = of(PAGE, &PAGE.replace(from, to));
            assert!(found.contains(named), "{from}: {found}");
        }
        let page = Page::parse("docs/guide/en/a.md", PAGE);
        assert_eq!(
            breaks(std::slice::from_ref(&page), &[]),
            ["docs/guide/zh/a.md is missing"]
        );
        assert_eq!(breaks(&[], &[page]), ["docs/guide/en/a.md is missing"]);
    }
}
