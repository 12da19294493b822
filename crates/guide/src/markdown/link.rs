//! Links, images, and the anchors that links name.

/// A link or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub target: String,
    /// Whether it is an image.
    pub is_image: bool,
}

impl Link {
    /// Whether it leads out of the repository.
    pub fn is_outside(&self) -> bool {
        self.target.contains("://") || self.target.starts_with("mailto:")
    }

    /// The file, and the anchor in it; an empty file is the page itself.
    pub fn parts(&self) -> (&str, Option<&str>) {
        match self.target.split_once('#') {
            Some((file, anchor)) => (file, Some(anchor)),
            None => (&self.target, None),
        }
    }
}

/// The links and images in a text, without those in code.
pub(super) fn links(text: &str) -> Vec<Link> {
    let text = without_code(text);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("](") {
        let Some(end) = text[at..].find(')') else { continue };
        let target = text[at + 2..at + end].trim();
        let target = target.split_whitespace().next().unwrap_or_default();
        let opened = text[..at].rfind('[');
        let is_image = opened.is_some_and(|opened| text[..opened].ends_with('!'));
        found.push(Link {
            target: target.trim_matches(['<', '>']).to_owned(),
            is_image,
        });
    }
    let addresses = text.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
    let addresses = addresses.filter(|(inside, _)| inside.starts_with("http"));
    found.extend(addresses.map(|(inside, _)| Link {
        target: inside.to_owned(),
        is_image: false,
    }));
    found
}

/// The text with `_` for each piece of code between backticks.
fn without_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| if index % 2 == 0 { part } else { "_" })
        .collect()
}

/// The anchor of a heading, as the repository's site makes it: in lower case, without signs, spaces as dashes.
pub fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_those_in_code_are_not() {
        let found = links("See [a](../b.md#c), ![d](e.png) and `[f](g)`, <https://h>.");
        let targets: Vec<_> = found.iter().map(|link| (link.target.as_str(), link.is_image)).collect();
        assert_eq!(targets, [("../b.md#c", false), ("e.png", true), ("https://h", false)]);
        assert_eq!(found[0].parts(), ("../b.md", Some("c")));
    }

    #[test]
    fn a_heading_becomes_an_anchor_as_on_the_repositorys_page() {
        assert_eq!(slug("4. What that gets wrong"), "4-what-that-gets-wrong");
        assert_eq!(slug("2. 思路（Cache-Aside）"), "2-思路cache-aside");
    }
}
