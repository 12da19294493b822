//! What a marker quotes: a file, an item of it, or the lines from one text to another.

use std::fs;
use std::path::Path;

use super::item;

/// The text that `wanted` names, from the repository at `top`, without the indentation that all its lines share.
///
/// - `crates/a/src/b.rs`: the whole file
/// - `crates/a/src/b.rs fn c`: an item of a Rust source (`A::c` is a method)
/// - `a.toml "[store]" .. "prefix"`: from the first line that holds the one text to the next line, or the same, that holds
///   the other
///
/// # Errors
/// A sentence that says what is not there.
pub fn quote(top: &Path, wanted: &str) -> Result<String, String> {
    let (file, part) = wanted.split_once(' ').unwrap_or((wanted, ""));
    let source = fs::read_to_string(top.join(file)).map_err(|_| format!("{file} can't be read"))?;
    part_of(&source, part.trim()).map_err(|missing| format!("{file}: {missing}"))
}

fn part_of(source: &str, part: &str) -> Result<String, String> {
    let all: Vec<&str> = source.lines().collect();
    let (first, last) = if part.is_empty() {
        (1, all.len())
    } else if let Some(rest) = part.strip_prefix('"') {
        let (from, to) = rest
            .strip_suffix('"')
            .and_then(|rest| rest.split_once("\" .. \""))
            .ok_or_else(|| format!("`{part}` is not of the form \"from\" .. \"to\""))?;
        let first = all.iter().position(|line| line.contains(from));
        let first = first.ok_or_else(|| format!("no line holds `{from}`"))?;
        let last = all[first..].iter().position(|line| line.contains(to));
        (
            first + 1,
            first + 1 + last.ok_or_else(|| format!("no line after `{from}` holds `{to}`"))?,
        )
    } else {
        let (kind, name) = part.split_once(' ').ok_or_else(|| format!("`{part}` has no name"))?;
        let lines = item::lines(source, kind, name)?;
        (*lines.start(), *lines.end())
    };
    Ok(dedented(&all[first - 1..last]))
}

fn dedented(lines: &[&str]) -> String {
    let indents = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = indents
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines = lines
        .iter()
        .map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_quoted_without_the_indentation_of_all_its_lines() {
        let source = "mod a {\n    fn b() {\n        c();\n    }\n}\n";
        assert_eq!(part_of(source, "fn b").unwrap(), "fn b() {\n    c();\n}\n");
        assert_eq!(part_of(source, "\"fn b\" .. \"c()\"").unwrap(), "fn b() {\n    c();\n");
        assert_eq!(part_of(source, "").unwrap(), source);
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert_eq!(part_of("x\n", "\"y\" .. \"x\"").unwrap_err(), "no line holds `y`");
        assert_eq!(part_of("fn x() {}\n", "fn y").unwrap_err(), "it has no `fn y`");
    }
}
