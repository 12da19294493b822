//! The words of a statement: as much of SQL's grammar as it takes to find the names of tables.

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A bare word: one of SQL's, or a name.
    Word(&'a str),
    /// A name in quotes.
    Name(&'a str),
    Open,
    Close,
    Comma,
    Dot,
    /// An operator, a number, a parameter, a literal.
    Other,
}

/// Takes a statement apart. What it can't know, it passes over.
pub(super) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim_ascii_start();
    while let Some(first) = rest.bytes().next() {
        let (token, length) = match first {
            b'(' => (Token::Open, 1),
            b')' => (Token::Close, 1),
            b',' => (Token::Comma, 1),
            b'.' => (Token::Dot, 1),
            b'"' => {
                let inside = until(&rest[1..], '"');
                (Token::Name(inside), inside.len() + 2)
            }
            // A quote within a literal is doubled: two literals, of which neither says anything here.
            b'\'' => (Token::Other, until(&rest[1..], '\'').len() + 2),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let word = word(rest);
                (Token::Word(word), word.len())
            }
            // With what belongs to it: `$1`, `100_000`, `1e3`.
            b'$' | b'0'..=b'9' => (Token::Other, 1 + word(&rest[1..]).len()),
            _ => (Token::Other, rest.chars().next().map_or(1, char::len_utf8)),
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_ascii_start();
    }
    tokens
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn until(text: &str, end: char) -> &str {
    &text[..text.find(end).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_taken_apart_and_values_say_nothing() {
        use Token::{Close, Comma, Dot, Name, Open, Other, Word};
        assert_eq!(
            tokens("SELECT \"a\".b, f($1) || 'it''s, (here)' >= 1_000é"),
            [
                Word("SELECT"),
                Name("a"),
                Dot,
                Word("b"),
                Comma,
                Word("f"),
                Open,
                Other,
                Close,
                Other,
                Other,
                Other,
                Other,
                Other,
                Other,
                Other,
                Other,
            ]
        );
        assert_eq!(tokens("'never ends"), [Other]);
        assert_eq!(tokens("\"never ends"), [Name("never ends")]);
    }
}
