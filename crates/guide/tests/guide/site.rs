//! What `make guide` gives mdBook: every page in its book, every link within the site, every drawing an element.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use guide::markdown::{Block, LANGUAGES, Page};

use crate::pages::{of, top};

/// What breaks in the books below `site`.
fn breaks(site: &Path) -> Vec<String> {
    LANGUAGES
        .iter()
        .flat_map(|language| {
            let book = site.join("src").join(language);
            let pages = of(language);
            let mut found = settings(&book, language);
            found.extend(summary(&book, language, &pages));
            found.extend(pages.iter().flat_map(|page| written(site, language, page)));
            found.into_iter().map(move |broken| format!("{language}: {broken}"))
        })
        .collect()
}

/// The book's settings: scripts and styles that are there, and the language by the name that a browser knows it by.
fn settings(book: &Path, folder: &str) -> Vec<String> {
    let Ok(settings) = text(&book.join("book.toml")).parse::<toml::Table>() else {
        return vec!["book.toml is no TOML".to_owned()];
    };
    let mut found = Vec::new();
    let language = settings["book"].get("language").and_then(toml::Value::as_str);
    let known_as = if folder == "zh" { "zh-CN" } else { folder };
    if language != Some(known_as) {
        found.push(format!("book.toml has language {language:?}"));
    }
    let html = settings.get("output").and_then(|output| output.get("html"));
    for kind in ["additional-js", "additional-css"] {
        let files = html.and_then(|html| html.get(kind)?.as_array());
        let files: Vec<_> = files.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        let missing = files.iter().filter(|file| !book.join(file).is_file());
        found.extend(missing.map(|file| format!("{file} is not there")));
        if files.is_empty() {
            found.push(format!("book.toml has no {kind}"));
        }
    }
    let head = text(&book.join("theme/head.hbs"));
    let scripts = head
        .split("path_to_root }}")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let missing = scripts.filter(|script| !book.join("src").join(script).is_file());
    found.extend(missing.map(|script| format!("{script} is not there")));
    if folder == "zh" && !head.contains("search_chinese.js") {
        found.push("no page answers what Chinese is asked for".to_owned());
    }
    found
}

/// Each page stands once in the list of the book's pages, and nothing else does.
fn summary(book: &Path, language: &str, pages: &[Page]) -> Vec<String> {
    let listed = Page::parse("SUMMARY.md", &text(&book.join("src/SUMMARY.md")));
    let mut listed: Vec<_> = listed.links().into_iter().map(|(_, link)| link.target).collect();
    listed.sort();
    let mut places: Vec<_> = pages.iter().map(|page| place(language, &page.file)).collect();
    places.sort();
    if listed == places {
        Vec::new()
    } else {
        vec![format!("SUMMARY.md lists {listed:?}, the pages are {places:?}")]
    }
}

/// What breaks in a page as it is written for the site.
fn written(site: &Path, language: &str, source: &Page) -> Vec<String> {
    let place = place(language, &source.file);
    let text = text(&site.join("src").join(language).join("src").join(&place));
    let page = Page::parse(&place, &text);
    let mut found = Vec::new();
    let drawn = text.matches("<pre class=\"mermaid\">").count();
    let drawings = fences(source, "mermaid");
    if drawn != drawings || fences(&page, "mermaid") > 0 {
        found.push(format!("{place} has {drawn} drawings of {drawings}"));
    }
    let targets: Vec<_> = page.links().into_iter().map(|(_, link)| link).collect();
    let targets: Vec<_> = targets
        .iter()
        .filter(|link| !link.is_outside() && !link.parts().0.is_empty())
        .map(|link| link.parts().0)
        .collect();
    let leads: Vec<_> = targets.iter().map(|target| leads(language, &place, target)).collect();
    let other = LANGUAGES.iter().find(|one| **one != language).unwrap();
    if leads.first() != Some(&Some(format!("{other}/src/{place}"))) {
        found.push(format!("{place} does not lead to itself in the other language first"));
    }
    let missing = targets
        .iter()
        .zip(&leads)
        .filter(|(_, file)| file.as_ref().is_none_or(|file| !site.join("src").join(file).is_file()));
    found.extend(missing.map(|(target, _)| format!("{place} leads to {target}, which is not there")));
    found
}

/// The file below `src` that a link of a page is made from; mdBook makes `.html` of `.md` within a book alone.
fn leads(language: &str, place: &str, target: &str) -> Option<String> {
    let mut path = PathBuf::from(language);
    path.push(Path::new(place).parent()?);
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let path = path.to_str()?;
    let (book, file) = path.split_once('/')?;
    if book == language {
        return Some(format!("{book}/src/{file}"));
    }
    Some(format!("{book}/src/{}.md", file.strip_suffix(".html")?))
}

/// Where a page stands in its book.
fn place(language: &str, file: &str) -> String {
    let place = file.strip_prefix(&format!("docs/guide/{language}/")).unwrap_or(file);
    place.replace("README.md", "index.md")
}

fn fences(page: &Page, language: &str) -> usize {
    let fences = page.blocks.iter().filter_map(Block::fence);
    fences.filter(|fence| fence.language == language).count()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_site_has_every_page_and_its_links_stay_in_it() {
    let folder = test_support::Folder::create();
    let site = folder.path();
    guide::site::prepare(&top(), site).unwrap();
    let found = breaks(site);
    assert!(found.is_empty(), "{} breaks\n{}", found.len(), found.join("\n"));
}

#[test]
fn what_breaks_in_a_site_is_named() {
    let folder = test_support::Folder::create();
    let site = folder.path();
    guide::site::prepare(&top(), site).unwrap();
    let edit = |file: &str, from: &str, to: &str| {
        let path = site.join("src").join(file);
        let before = text(&path);
        assert!(before.contains(from), "{file} has no {from}");
        fs::write(path, before.replace(from, to)).unwrap();
    };
    edit("en/src/notes/01_redis_cache.md", "<pre class=\"mermaid\">", "<pre>");
    edit("en/src/SUMMARY.md", "(glossary.md)", "(index.md)");
    edit("en/book.toml", "language = \"en\"", "language = \"zh-CN\"");
    edit("zh/book.toml", "language = \"zh-CN\"", "language = \"en\"");
    edit("zh/src/index.md", "../en/index.html", "../en/glossary.html");
    fs::remove_file(site.join("src/zh/drawings.js")).unwrap();
    fs::remove_file(site.join("src/zh/src/search_chinese.js")).unwrap();
    fs::remove_file(site.join("src/zh/src/glossary.md")).unwrap();
    let found: BTreeSet<_> = breaks(site).into_iter().collect();
    for named in [
        "en: notes/01_redis_cache.md has 0 drawings of 1",
        "en: SUMMARY.md lists",
        "en: book.toml has language Some(\"zh-CN\")",
        "zh: book.toml has language Some(\"en\")",
        "en: glossary.md leads to ../zh/glossary.html, which is not there",
        "zh: index.md does not lead to itself in the other language first",
        "zh: drawings.js is not there",
        "zh: search_chinese.js is not there",
    ] {
        assert!(found.iter().any(|one| one.starts_with(named)), "{named}: {found:?}");
    }
}
