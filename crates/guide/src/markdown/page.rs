//! The blocks of a page.

use super::link::{Link, links, slug};

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Path from the repository's top.
    pub file: String,
    /// How many lines it has.
    pub lines: usize,
    /// Its blocks, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A part of a page, with the markers directly above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its first line, from 1.
    pub line: usize,
    /// Comments of the form `<!-- name: value -->` on a line of their own, directly above.
    pub markers: Vec<(String, String)>,
    /// What it is.
    pub kind: Kind,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `## Text`
    Heading {
        /// How many `#`.
        level: usize,
        /// The text behind them.
        text: String,
    },
    /// What stands between two lines of backticks.
    Fence(Fence),
    /// A paragraph, an item of a list, a table, a tag of HTML.
    Prose(String),
}

/// Code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The word behind the backticks; empty where there is none.
    pub language: String,
    /// What stands between, without the fence's own indentation; ends in a new line unless it is empty.
    pub text: String,
    /// Spaces before the backticks.
    pub indent: usize,
    /// Lines of the page that it covers, backticks included, from 1.
    pub covers: (usize, usize),
}

impl Block {
    /// The value of a marker.
    pub fn marker(&self, name: &str) -> Option<&str> {
        let found = self.markers.iter().find(|(has, _)| has == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The fence, where the block is one.
    pub fn fence(&self) -> Option<&Fence> {
        match &self.kind {
            Kind::Fence(fence) => Some(fence),
            Kind::Heading { .. } | Kind::Prose(_) => None,
        }
    }
}

impl Page {
    /// Takes a page apart.
    pub fn parse(file: &str, text: &str) -> Self {
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.take(index + 1, line);
        }
        reader.end_prose();
        Self {
            file: file.to_owned(),
            lines: text.lines().count(),
            blocks: reader.blocks,
        }
    }

    /// Every link and image outside of code, with the line of its block.
    pub fn links(&self) -> Vec<(usize, Link)> {
        let texts = self.blocks.iter().filter_map(|block| match &block.kind {
            Kind::Heading { text, .. } | Kind::Prose(text) => Some((block.line, text)),
            Kind::Fence(_) => None,
        });
        texts
            .flat_map(|(line, text)| links(text).into_iter().map(move |link| (line, link)))
            .collect()
    }

    /// The headings: line, level and text of each.
    pub fn headings(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        self.blocks.iter().filter_map(|block| match &block.kind {
            Kind::Heading { level, text } => Some((block.line, *level, text.as_str())),
            Kind::Fence(_) | Kind::Prose(_) => None,
        })
    }

    /// The anchors that a link's `#..` may name, one for each heading, as the repository's site makes them.
    pub fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, _, text) in self.headings() {
            let plain = slug(text);
            let same = anchors.iter().filter(|one| **one == plain).count();
            anchors.push(if same == 0 { plain } else { format!("{plain}-{same}") });
        }
        anchors
    }
}

/// Reads a page line by line.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    markers: Vec<(String, String)>,
    prose: Option<(usize, String)>,
    fence: Option<Fence>,
}

impl Reader {
    fn take(&mut self, number: usize, line: &str) {
        let trimmed = line.trim();
        if let Some(fence) = &mut self.fence {
            if trimmed == "```" {
                fence.covers.1 = number;
                self.end_fence();
            } else {
                let own = line.len() - line.trim_start_matches(' ').len();
                fence.text.push_str(&line[own.min(fence.indent)..]);
                fence.text.push('\n');
            }
        } else if let Some(language) = trimmed.strip_prefix("```") {
            self.end_prose();
            self.fence = Some(Fence {
                language: language.trim().to_owned(),
                text: String::new(),
                indent: line.len() - line.trim_start().len(),
                covers: (number, number),
            });
        } else if let Some(marker) = marker(trimmed) {
            self.end_prose();
            self.markers.push(marker);
        } else if let Some((level, text)) = heading(line) {
            self.end_prose();
            self.push(number, Kind::Heading { level, text });
        } else if trimmed.is_empty() {
            self.end_prose();
        } else {
            self.take_prose(number, trimmed);
        }
    }

    fn take_prose(&mut self, number: usize, line: &str) {
        if is_item(line) || line.starts_with('<') {
            self.end_prose();
        }
        let (_, text) = self.prose.get_or_insert_with(|| (number, String::new()));
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }

    fn end_prose(&mut self) {
        if let Some((line, text)) = self.prose.take() {
            self.push(line, Kind::Prose(text));
        }
    }

    fn end_fence(&mut self) {
        if let Some(fence) = self.fence.take() {
            self.push(fence.covers.0, Kind::Fence(fence));
        }
    }

    fn push(&mut self, line: usize, kind: Kind) {
        let markers = std::mem::take(&mut self.markers);
        self.blocks.push(Block { line, markers, kind });
    }
}

/// `<!-- name: value -->`
fn marker(line: &str) -> Option<(String, String)> {
    let inside = line.strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    let (name, value) = inside.split_once(':').unwrap_or((inside, ""));
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn heading(line: &str) -> Option<(usize, String)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let text = text.strip_prefix(' ')?;
    (1..=6).contains(&level).then(|| (level, text.trim().to_owned()))
}

/// Whether a line begins an item of a list.
fn is_item(line: &str) -> bool {
    let number = line.trim_start_matches(|sign: char| sign.is_ascii_digit());
    line.starts_with("- ") || line.starts_with("* ") || (number.len() < line.len() && number.starts_with(". "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\nSome text\nin two lines.\n- an item\n\n<!-- source: a.rs fn b -->\n```rust\nfn b() {}\n```\n\n## A `page`\n";

    #[test]
    fn a_page_is_taken_apart() {
        let page = Page::parse("a.md", PAGE);
        let kinds: Vec<_> = page.blocks.iter().map(|block| block.kind.clone()).collect();
        assert_eq!(kinds[1], Kind::Prose("Some text\nin two lines.".to_owned()));
        assert_eq!(kinds[2], Kind::Prose("- an item".to_owned()));
        let fence = page.blocks[3].fence().unwrap();
        assert_eq!((fence.language.as_str(), fence.text.as_str()), ("rust", "fn b() {}\n"));
        assert_eq!(fence.covers, (8, 10));
        assert_eq!(page.blocks[3].marker("source"), Some("a.rs fn b"));
        assert_eq!(page.anchors(), ["a-page", "a-page-1"]);
    }
}
