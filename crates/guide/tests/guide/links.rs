//! Links and images: what is in the repository is there, with its anchor.

use std::fs;
use std::path::{Component, Path, PathBuf};

use guide::markdown::Page;

pub(crate) fn breaks(top: &Path, page: &Page) -> Vec<String> {
    let own = page.anchors();
    let links = page.links().into_iter().filter(|(_, link)| !link.is_outside());
    links
        .filter_map(|(line, link)| {
            let (file, anchor) = link.parts();
            let broken = if file.is_empty() {
                anchor
                    .filter(|anchor| !own.iter().any(|one| one == anchor))
                    .map(|_| "no such heading here")
            } else {
                missing(top, page, file, anchor)
            };
            broken.map(|broken| format!("{}:{line} [..]({}): {broken}", page.file, link.target))
        })
        .collect()
}

fn missing(top: &Path, page: &Page, file: &str, anchor: Option<&str>) -> Option<&'static str> {
    let folder = Path::new(&page.file).parent().unwrap_or(Path::new(""));
    let Some(path) = normal(&folder.join(file)) else {
        return Some("leads out of the repository");
    };
    let path = top.join(path);
    if !path.exists() {
        return Some("is not there");
    }
    let anchor = anchor?;
    let text = fs::read_to_string(&path).unwrap_or_default();
    let anchors = Page::parse("", &text).anchors();
    (!anchors.iter().any(|one| one == anchor)).then_some("has no such heading")
}

/// A path without `..`; `None` when it leads above where it begins.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !parts.pop() {
                    return None;
                }
            }
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts)
}

/// The links that lead out of the repository.
pub(crate) fn outside(page: &Page) -> Vec<String> {
    let links = page.links().into_iter().filter(|(_, link)| link.is_outside());
    links.map(|(_, link)| link.target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::top;

    fn of(text: &str) -> String {
        breaks(&top(), &Page::parse("docs/a.md", text)).join("\n")
    }

    #[test]
    fn what_is_there_passes() {
        assert_eq!(
            of("# A\n\n[a](caching.md#the-lock), [b](../Makefile), [c](#a), [d](https://e)"),
            ""
        );
        assert_eq!(outside(&Page::parse("a.md", "[d](https://e)")), ["https://e"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (text, named) in [
            ("[a](nothing.md)", "is not there"),
            ("![a](nothing.png)", "is not there"),
            ("[a](caching.md#nothing)", "has no such heading"),
            ("[a](#nothing)", "no such heading here"),
            ("[a](../../x)", "leads out of the repository"),
        ] {
            assert!(of(text).contains(named), "{text}: {}", of(text));
        }
    }
}
