//! Drawings: a fence that the repository's page draws by itself becomes an element that `drawings.js` draws.

use crate::markdown::{Block, Fence, Page};

/// The language of a fence that is drawn.
const DRAWN: &str = "mermaid";

/// The text of a page, each drawing as an element.
pub(super) fn drawn(page: &Page, text: &str) -> String {
    let fences = page.blocks.iter().filter_map(Block::fence);
    let drawings: Vec<&Fence> = fences.filter(|fence| fence.language == DRAWN).collect();
    let mut written = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.lines()) {
        let here = drawings
            .iter()
            .find(|drawing| (drawing.covers.0..=drawing.covers.1).contains(&number));
        match here {
            Some(drawing) if drawing.covers.0 == number => written.push_str(&element(drawing)),
            Some(_) => {}
            None => {
                written.push_str(line);
                written.push('\n');
            }
        }
    }
    written
}

/// The element of a drawing. It holds the drawing's text, which a browser without scripts shows.
fn element(drawing: &Fence) -> String {
    let text = drawing
        .text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let element = format!("<pre class=\"{DRAWN}\">{text}</pre>");
    let indent = " ".repeat(drawing.indent);
    element
        .lines()
        .fold(String::new(), |written, line| written + &indent + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_becomes_an_element_and_the_rest_stays() {
        let text = "# A\n\n```mermaid\nflowchart LR\n    A[a<br/>b] --> B\n```\n\n```sh\nls > x\n```\n";
        assert_eq!(
            drawn(&Page::parse("a.md", text), text),
            "# A\n\n<pre class=\"mermaid\">flowchart LR\n    A[a&lt;br/&gt;b] --&gt; B\n</pre>\n\n```sh\nls > x\n```\n"
        );
    }
}
