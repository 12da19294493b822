//! The pages as mdBook takes them: a book a language, with what they link to beside them.
//!
//! Links that stay in the guide stay as they are; those that lead to sources and other documents lead to copies of these,
//! as text, so that the site is whole by itself.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::drawing::drawn;
use crate::markdown::{LANGUAGES, Page, pages};

/// For each language: the titles of the book, of the overview and of the glossary, the other language's name in itself, and
/// the language's tag in HTML.
const WORDS: [[&str; 5]; 2] = [
    ["Waypost: the guide", "Overview", "Glossary", "中文", "en"],
    ["Waypost 学习指南", "概览", "术语表", "English", "zh-CN"],
];
/// What a page needs in a browser: its place in the book's folder, and its text.
type Asset = (&'static str, &'static str);
/// The assets of each book. mdBook copies those in `src`; those beside `src`, which the settings or the theme name, become
/// parts of each page.
const ASSETS: [&[Asset]; 2] = [&[DRAWINGS, STYLE], &[DRAWINGS, STYLE, HEAD, SEARCH_CHINESE]];
const DRAWINGS: Asset = ("drawings.js", include_str!("drawings.js"));
const STYLE: Asset = ("site.css", include_str!("site.css"));
const HEAD: Asset = ("theme/head.hbs", include_str!("head.hbs"));
const SEARCH_CHINESE: Asset = ("src/search_chinese.js", include_str!("search_chinese.js"));

/// Writes a book for each language to `src` in the site's folder, and the front page that leads to them.
///
/// # Errors
/// When a page can't be read or written, or a link leads nowhere.
pub fn prepare(top: &Path, site: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(site.join("src"));
    for ((language, words), assets) in LANGUAGES.iter().zip(WORDS).zip(ASSETS) {
        let pages = pages(top, language)?;
        let book = Book {
            top,
            language,
            words,
            assets,
            folder: site.join("src").join(language),
        };
        book.write(&pages).with_context(|| format!("the book in {language}"))?;
    }
    write(&site.join("index.html"), FRONT)
}

const FRONT: &str = "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
    <meta name=\"color-scheme\" content=\"light dark\">\n<title>Waypost: the guide</title>\n<p><a href=\"en/index.html\">English</a></p>\n\
    <p><a href=\"zh/index.html\" lang=\"zh-CN\">简体中文</a></p>\n";

struct Book<'a> {
    top: &'a Path,
    language: &'a str,
    words: [&'a str; 5],
    assets: &'a [Asset],
    folder: PathBuf,
}

impl Book<'_> {
    fn write(&self, pages: &[Page]) -> anyhow::Result<()> {
        let [title, .., tongue] = self.words;
        let ((script, _), (style, _)) = (DRAWINGS, STYLE);
        let settings = format!(
            "[book]\ntitle = \"{title}\"\nlanguage = \"{tongue}\"\n\n[build]\ncreate-missing = false\n\n\
             [output.html]\nno-section-label = true\nadditional-css = [\"{style}\"]\nadditional-js = [\"{script}\"]\n\n[output.html.search]\nenable = true\n\n[output.html.playground]\nrunnable = false\n"
        );
        write(&self.folder.join("book.toml"), &settings)?;
        for (name, text) in self.assets {
            write(&self.folder.join(name), text)?;
        }
        write(&self.folder.join("src/SUMMARY.md"), &self.summary(pages))?;
        for page in pages {
            let text = self.page(page).with_context(|| page.file.clone())?;
            write(&self.folder.join("src").join(self.place(&page.file)), &text)?;
        }
        Ok(())
    }

    /// Where a page stands in the book: its path below the language's folder, with `index.md` for the overview.
    fn place(&self, file: &str) -> String {
        let prefix = format!("docs/guide/{}/", self.language);
        file.strip_prefix(&prefix)
            .unwrap_or(file)
            .replace("README.md", "index.md")
    }

    /// The overview, each note with its exercises, the glossary.
    fn summary(&self, pages: &[Page]) -> String {
        let [title, overview, glossary, ..] = self.words;
        let mut lines = vec![format!("# {title}\n"), format!("[{overview}](index.md)\n")];
        let places: Vec<_> = pages.iter().map(|page| (self.place(&page.file), page)).collect();
        for (place, note) in places.iter().filter(|(place, _)| place.starts_with("notes/")) {
            lines.push(format!("- [{}]({place})", heading(note)));
            let number = place.trim_start_matches("notes/").split('_').next().unwrap_or_default();
            let sets = places
                .iter()
                .filter(|(place, _)| place.starts_with(&format!("exercises/{number}_")));
            lines.extend(sets.map(|(place, set)| format!("  - [{}]({place})", heading(set))));
        }
        lines.push(format!("\n[{glossary}](glossary.md)"));
        lines.join("\n") + "\n"
    }

    /// The text of a page for the site: a link to the other language below its heading, and drawings and links as the site
    /// has them.
    fn page(&self, page: &Page) -> anyhow::Result<String> {
        let mut text = drawn(page, &fs::read_to_string(self.top.join(&page.file))?);
        for (_, link) in page.links() {
            if !link.is_outside() && !link.parts().0.is_empty() {
                let there = self.link(page, link.parts())?;
                text = text.replace(&format!("]({})", link.target), &format!("]({there})"));
            }
        }
        let other = if self.language == LANGUAGES[0] {
            LANGUAGES[1]
        } else {
            LANGUAGES[0]
        };
        let place = self.place(&page.file);
        let way = format!("{}../{other}/{}", up(&place), place.replace(".md", ".html"));
        // The overview has such a link already.
        if text.contains(&format!("]({way})")) {
            return Ok(text);
        }
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(format!("{first}\n\n[{}]({way})\n{rest}", self.words[3]))
    }

    /// Where a link leads on the site. A link out of the guide leads to a copy of its target, which is written here.
    fn link(&self, page: &Page, (file, anchor): (&str, Option<&str>)) -> anyhow::Result<String> {
        let folder = Path::new(&page.file).parent().unwrap_or(Path::new(""));
        let target = normal(&folder.join(file));
        let name = target.to_string_lossy().into_owned();
        let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
        if name.starts_with(&format!("docs/guide/{}/", self.language)) {
            return Ok(file.replace("README.md", "index.md") + &anchor);
        }
        let here = up(&self.place(&page.file));
        if let Some(other) = LANGUAGES
            .iter()
            .find_map(|one| name.strip_prefix(&format!("docs/guide/{one}/")).map(|rest| (one, rest)))
        {
            let place = other.1.replace("README.md", "index.md").replace(".md", ".html");
            return Ok(format!("{here}../{}/{place}{anchor}", other.0));
        }
        // mdBook leaves out files whose name begins with a dot, and takes every file with `.md` in its name for a page.
        let copy = format!("sources/{}.txt", name.trim_start_matches('.').replace(".md", ""));
        write(&self.folder.join("src").join(&copy), &copied(&self.top.join(&target))?)?;
        Ok(here + &copy)
    }
}

/// The text of a file, or the names in a folder.
fn copied(path: &Path) -> anyhow::Result<String> {
    if path.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        return Ok(names.join("\n") + "\n");
    }
    fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
}

/// The way from a page to the book's top: `../` for each folder that the page stands in.
fn up(place: &str) -> String {
    "../".repeat(place.matches('/').count())
}

fn heading(page: &Page) -> &str {
    page.headings().next().map_or(page.file.as_str(), |(_, _, text)| text)
}

fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_site() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = std::env::temp_dir().join(format!("waypost-guide-{}", uuid::Uuid::now_v7()));
        let book = Book {
            top: &top,
            language: "en",
            words: WORDS[0],
            assets: ASSETS[0],
            folder: folder.clone(),
        };
        let page = Page::parse("docs/guide/en/notes/01_a.md", "");
        let link = |file| book.link(&page, (file, None)).unwrap();
        assert_eq!(link("../README.md"), "../index.md");
        assert_eq!(link("../../zh/README.md"), "../../zh/index.html");
        assert_eq!(link("../../../caching.md"), "../sources/docs/caching.txt");
        assert_eq!(link("../../../../clippy.toml"), "../sources/clippy.toml.txt");
        assert!(folder.join("src/sources/clippy.toml.txt").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
