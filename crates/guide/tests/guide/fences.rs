//! Every fence has what runs it, or it is a quote that is as its source.

use std::fs;
use std::path::Path;

use guide::markdown::{Block, Fence, Page, quote};

/// Kinds of drawings that Mermaid knows and pages use.
const DRAWINGS: [&str; 5] = [
    "sequenceDiagram",
    "flowchart LR",
    "flowchart TD",
    "stateDiagram-v2",
    "timeline",
];

pub(crate) fn breaks(top: &Path, page: &Page) -> Vec<String> {
    let mut found = Vec::new();
    for (index, block) in page.blocks.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &page.blocks[before]);
        if let Some(fence) = block.fence()
            && let Err(broken) = judge(top, fence, block, before)
        {
            found.push(format!("{}:{} {broken}", page.file, block.line));
        }
    }
    found
}

fn judge(top: &Path, fence: &Fence, block: &Block, before: Option<&Block>) -> Result<(), String> {
    let text = fence.text.as_str();
    if let Some(wanted) = block.marker("source") {
        let quoted = quote(top, wanted)?;
        return if quoted == text {
            Ok(())
        } else {
            Err(format!(
                "is not as {wanted} has it now: `make guide-quotes` writes it anew"
            ))
        };
    }
    match fence.language.as_str() {
        "sh" if text.trim().is_empty() => Err("has no command".into()),
        // Run by the target guide_commands.
        "sh" => Ok(()),
        "rust" => Err("is Rust that nobody compiles: quote a file with `<!-- source: file item -->`".into()),
        "json" => serde_json::from_str::<serde_json::Value>(text)
            .map(drop)
            .map_err(|error| error.to_string()),
        "toml" => toml::from_str::<toml::Table>(text)
            .map(drop)
            .map_err(|error| error.to_string()),
        "promql" => promql(top, text),
        "mermaid" => {
            let first = text.lines().next().unwrap_or_default().trim();
            if DRAWINGS.contains(&first) {
                Ok(())
            } else {
                Err(format!("`{first}` is no drawing of {DRAWINGS:?}"))
            }
        }
        "text" => {
            let is_output = before
                .and_then(Block::fence)
                .is_some_and(|fence| fence.language == "sh");
            if is_output || block.marker("shows").is_some_and(|what| !what.is_empty()) {
                Ok(())
            } else {
                Err("is the output of nothing: put it directly below its command, or say with `<!-- shows: .. -->` what it is".into())
            }
        }
        other => Err(format!("nothing runs `{other}`")),
    }
}

/// Every line is an expression, over metrics that there are.
fn promql(top: &Path, text: &str) -> Result<(), String> {
    let known = fs::read_to_string(top.join("docs/observability.md")).map_err(|error| error.to_string())?;
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
    {
        promql_parser::parser::parse(line)?;
        let words = line.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
        for metric in words.filter(|word| word.starts_with("waypost_") || word.starts_with("http_server_")) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| metric.strip_suffix(end));
            if ![Some(metric), base]
                .into_iter()
                .flatten()
                .any(|name| known.contains(&format!("| `{name}` |")))
            {
                return Err(format!("docs/observability.md has no metric `{metric}`"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::top;

    fn of(text: &str) -> String {
        breaks(&top(), &Page::parse("a.md", text)).join("\n")
    }

    #[test]
    fn what_runs_or_is_parsed_passes() {
        let good = "```sh\nls\n```\n```text\na\n```\n```json\n{\"a\": 1}\n```\n```toml\na = 1\n```\n```mermaid\nflowchart LR\n```\n\
                    ```promql\nsum(rate(waypost_cache_reads_total[5m]))\n```\n";
        assert_eq!(of(good), "");
    }

    #[test]
    fn what_nothing_runs_is_named() {
        for (text, named) in [
            ("```python\n1\n```", "nothing runs `python`"),
            ("```\nx\n```", "nothing runs ``"),
            ("```sh\n\n```", "no command"),
            ("```rust\nfn a() {}\n```", "nobody compiles"),
            ("```json\n{,}\n```", "a.md:1 "),
            ("```toml\na =\n```", "a.md:1 "),
            ("```mermaid\npicture\n```", "`picture` is no drawing"),
            ("```promql\nsum(rate(\n```", "a.md:1 "),
            (
                "```promql\nwaypost_nothing_total\n```",
                "no metric `waypost_nothing_total`",
            ),
            ("Words.\n\n```text\nx\n```", "the output of nothing"),
        ] {
            assert!(of(text).contains(named), "{text}: {}", of(text));
        }
    }

    #[test]
    fn a_quote_that_is_not_as_its_source_is_named() {
        let marker = "<!-- source: rustfmt.toml -->\n";
        assert_eq!(of(&format!("{marker}```toml\nmax_width = 120\n```")), "");
        assert!(of(&format!("{marker}```toml\nmax_width = 80\n```")).contains("make guide-quotes"));
        assert!(of("<!-- source: rustfmt.toml fn x -->\n```rust\n```").contains("no Rust"));
    }
}
