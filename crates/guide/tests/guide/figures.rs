//! A figure with a unit says where it is from.
//!
//! In the text, outside of code: the paragraph, item or table (with the paragraph before it) that holds the figure links to
//! a file of the repository in which its number stands (the source that sets it, or docs/performance.md), or names the command
//! and the machine that gave it (`command`, and so many cores). What is an estimate says so in `<!-- estimates: .. -->`.
//! Output below a command needs none of it: it is compared with what the command says.

use std::fs;
use std::path::Path;

use guide::markdown::{Block, Kind, Page};

/// Units as they stand behind a number, longest first.
const UNITS: [&str; 24] = [
    "milliseconds",
    "microseconds",
    "seconds",
    "minutes",
    "second",
    "minute",
    "hours",
    "hour",
    "times",
    "MiB",
    "KiB",
    "GiB",
    "毫秒",
    "微秒",
    "分钟",
    "小时",
    "min",
    "ms",
    "us",
    "µs",
    "秒",
    "倍",
    "/s",
    "s",
];
/// Words that name a machine.
const MACHINES: [&str; 3] = ["cores", "core", "核"];

pub(crate) fn breaks(top: &Path, page: &Page) -> Vec<String> {
    let mut found = Vec::new();
    for (index, block) in page.blocks.iter().enumerate() {
        let Kind::Prose(text) = &block.kind else { continue };
        if block.marker("estimates").is_some() {
            continue;
        }
        let before = index.checked_sub(1).map(|before| &page.blocks[before]);
        let around = match before {
            Some(Block {
                kind: Kind::Prose(before),
                ..
            }) if text.starts_with('|') => format!("{before}\n{text}"),
            _ => text.clone(),
        };
        if names_command_and_machine(&around) {
            continue;
        }
        let linked = linked(top, &page.file, &around);
        for (number, unit) in figures(text) {
            if !linked.iter().any(|file| holds(file, &number)) {
                found.push(format!(
                    "{}:{} `{number} {unit}` is from nowhere",
                    page.file, block.line
                ));
            }
        }
    }
    found
}

/// The numbers with units in a text, code and the targets of links left out.
fn figures(text: &str) -> Vec<(String, &'static str)> {
    let plain = plain(text);
    let mut found = Vec::new();
    let mut rest = plain.as_str();
    while let Some(at) = rest.find(|sign: char| sign.is_ascii_digit()) {
        let before = rest[..at].chars().next_back();
        let number: String = rest[at..]
            .chars()
            .take_while(|sign| sign.is_ascii_digit() || ".,".contains(*sign))
            .collect();
        let behind = &rest[at + number.len()..];
        let is_word = before.is_some_and(|sign| sign.is_ascii_alphabetic() || sign == '_' || sign == '.');
        if !is_word && let Some(unit) = unit(behind.trim_start_matches([' ', '-'])) {
            found.push((number.trim_end_matches(['.', ',']).replace(',', ""), unit));
        }
        rest = behind;
    }
    found
}

fn unit(text: &str) -> Option<&'static str> {
    UNITS.into_iter().find(|unit| {
        let behind = text.strip_prefix(unit).map(|behind| behind.chars().next());
        behind.is_some_and(|next| !unit.is_ascii() || next.is_none_or(|next| !next.is_ascii_alphanumeric()))
    })
}

/// A text without code and without where its links lead.
fn plain(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let text: String = parts
        .map(|(index, part)| if index % 2 == 0 { part } else { "_" })
        .collect();
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once("](") {
        plain.push_str(before);
        rest = behind.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

fn names_command_and_machine(text: &str) -> bool {
    let mut code = text.split('`').skip(1).step_by(2);
    let names_command = code.any(|code| ["make ", "cargo ", "curl "].iter().any(|begin| code.starts_with(begin)));
    names_command && MACHINES.iter().any(|machine| text.contains(machine))
}

/// The texts of the files that a text links to.
fn linked(top: &Path, page: &str, text: &str) -> Vec<String> {
    let folder = top.join(page).parent().map(Path::to_owned).unwrap_or_default();
    let links = Page::parse("", text).links();
    let files = links.iter().filter(|(_, link)| !link.is_outside());
    files
        .filter_map(|(_, link)| fs::read_to_string(folder.join(link.parts().0)).ok())
        .collect()
}

/// Whether a text holds a number as such, and not as a part of another.
fn holds(text: &str, number: &str) -> bool {
    let text = text.replace(',', "");
    text.match_indices(number).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + number.len()..].chars().next();
        !before.is_some_and(|sign| sign.is_ascii_digit()) && !behind.is_some_and(|sign| sign.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::top;

    fn of(text: &str) -> String {
        breaks(&top(), &Page::parse("docs/a.md", text)).join("\n")
    }

    #[test]
    fn a_figure_from_a_linked_file_or_from_a_command_on_a_machine_passes() {
        assert_eq!(
            of("A command is waited for 50 ms ([settings](../crates/common/src/config/defaults.toml))."),
            ""
        );
        assert_eq!(of("`make bench` on 2 cores: 3.1 ms."), "");
        assert_eq!(of("`sleep 3 s` and version 2.5, chapter 4."), "");
        assert_eq!(of("As measured ([here](performance.md)):\n\n| a | 102,000 /s |\n"), "");
        assert_eq!(of("<!-- estimates: time to read -->\n- 40 min"), "");
    }

    #[test]
    fn a_figure_from_nowhere_is_named() {
        for text in [
            "It takes 3 ms.",
            "It is 4.8 times faster.",
            "它需要 3 毫秒。",
            "快了 4.8 倍。",
            "A command is waited for 51 ms ([settings](../crates/common/src/config/defaults.toml)).",
            "`make bench`: 3.1 ms.",
            "| a | 5 s |",
        ] {
            assert!(of(text).contains("is from nowhere"), "{text}: {:?}", figures(text));
        }
    }
}
