//! What a command said, held against what its page says.

/// Stands for whatever a line goes on with; alone in a line, for any lines.
const ANYTHING: char = '…';

/// Says where the two differ. A number stands for any number unless `is_exact`.
pub(crate) fn compare(wanted: &str, said: &str, is_exact: bool) -> Result<(), String> {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.trim_matches('\n').lines();
        lines.map(|line| compared(line.trim_end(), is_exact)).collect()
    };
    let (wanted, said) = (lines(wanted), lines(said));
    if matches(&wanted, &said) {
        Ok(())
    } else {
        Err(format!(
            "the page has\n{}\nand it said\n{}",
            wanted.join("\n"),
            said.join("\n")
        ))
    }
}

/// A line with every number as 0.
fn compared(line: &str, is_exact: bool) -> String {
    if is_exact {
        return line.to_owned();
    }
    let mut compared = String::new();
    let mut is_number = false;
    for sign in line.chars() {
        let is_digit = sign.is_ascii_digit();
        if !is_digit {
            compared.push(sign);
        } else if !is_number {
            compared.push('0');
        }
        is_number = is_digit;
    }
    compared
}

fn matches(wanted: &[String], said: &[String]) -> bool {
    match (wanted.split_first(), said.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.trim() == ANYTHING.to_string() => {
            (0..=said.len()).any(|passed| matches(rest, &said[passed..]))
        }
        (Some((first, rest)), Some((line, others))) => is_like(first, line) && matches(rest, others),
        _ => false,
    }
}

fn is_like(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        is_open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || is_open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_what_is_left_out_may_be_others() {
        assert_eq!(compare("hit; ttl=291\n", "\nhit; ttl=7\n", false), Ok(()));
        assert_eq!(compare("a\n…\nz\n", "a\nb\nc\nz\n", false), Ok(()));
        assert_eq!(compare("id … here\n…", "id x-1 here\n", false), Ok(()));
    }

    #[test]
    fn other_words_and_other_lines_are_seen() {
        assert!(compare("hit\n", "miss\n", false).is_err());
        assert!(compare("a\n", "a\nb\n", false).is_err());
        assert!(compare("a\nb\n", "a\n", false).is_err());
        assert!(compare("1 of 2\n", "2 of 2\n", true).is_err());
        assert!(compare("id … here\n", "id x there\n", false).is_err());
    }
}
