//! A place in a list of tokens, and the questions that the readers ask there.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A path as it is written, and the line of its first word.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// `crate::store::Store` is three segments. A path that begins with `::` begins with an empty one.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// A place in a list of tokens.
pub(crate) struct Cursor {
    tokens: Vec<TokenTree>,
    at: usize,
}

impl Cursor {
    pub(crate) fn new(stream: TokenStream) -> Self {
        Self {
            tokens: stream.into_iter().collect(),
            at: 0,
        }
    }

    /// The token that is `ahead` places further on.
    pub(crate) fn peek(&self, ahead: usize) -> Option<&TokenTree> {
        self.tokens.get(self.at + ahead)
    }

    pub(crate) fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// Line of the next token, or of the last one.
    pub(crate) fn line(&self) -> usize {
        let token = self.peek(0).or(self.tokens.last());
        token.map_or(0, |token| token.span().start().line)
    }

    /// The word there; `r#type` is `type`.
    pub(crate) fn word(&self, ahead: usize) -> Option<String> {
        match self.peek(ahead)? {
            TokenTree::Ident(word) => Some(word.to_string().trim_start_matches("r#").to_owned()),
            _ => None,
        }
    }

    pub(crate) fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek(ahead), Some(TokenTree::Ident(ident)) if ident == word)
    }

    pub(crate) fn is_punct(&self, ahead: usize, sign: char) -> bool {
        matches!(self.peek(ahead), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    }

    /// Whether `::` stands there.
    pub(crate) fn is_separator(&self, ahead: usize) -> bool {
        let joint = matches!(self.peek(ahead), Some(TokenTree::Punct(first)) if first.spacing() == Spacing::Joint);
        joint && self.is_punct(ahead, ':') && self.is_punct(ahead + 1, ':')
    }

    pub(crate) fn group(&self, ahead: usize, delimiter: Delimiter) -> Option<Group> {
        match self.peek(ahead) {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.clone()),
            _ => None,
        }
    }

    /// Takes the path that begins here: words joined by `::`, where `$crate` is `crate`.
    pub(crate) fn take_path(&mut self) -> Option<Written> {
        let line = self.line();
        if self.is_punct(0, '$') && self.is_word(1, "crate") {
            self.skip(1);
        }
        let mut segments = vec![self.word(0)?];
        self.skip(1);
        while self.is_separator(0) {
            let Some(word) = self.word(2) else { break };
            segments.push(word);
            self.skip(3);
        }
        Some(Written { segments, line })
    }

    /// Passes over the visibility that begins here (`pub`, `pub(crate)`, `pub(in crate::store)`), if one does.
    pub(crate) fn skip_visibility(&mut self) -> bool {
        if !self.is_word(0, "pub") {
            return false;
        }
        self.skip(1);
        if let Some(group) = self.group(0, Delimiter::Parenthesis) {
            let scope = Self::new(group.stream());
            if scope.is_word(0, "in") || scope.tokens.len() == 1 {
                self.skip(1);
            }
        }
        true
    }

    /// Passes over the item, field or arm that begins here, its attributes included.
    pub(crate) fn skip_item(&mut self) {
        while self.is_punct(0, '#') {
            self.skip(2);
        }
        let is_item = self.word(0).is_some_and(|word| ITEM_WORDS.contains(&word.as_str()));
        while let Some(token) = self.peek(0) {
            let ends = match token {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Punct(sign) => sign.as_char() == ';' || (sign.as_char() == ',' && !is_item),
                _ => false,
            };
            // The braces of `use a::{b, c};` do not end it.
            let ends = ends && !(self.at > 0 && self.tokens.get(self.at - 1).is_some_and(is_colon));
            self.skip(1);
            if ends {
                return;
            }
        }
    }
}

/// Words that an item begins with; a comma does not end it.
const ITEM_WORDS: [&str; 15] = [
    "pub", "use", "mod", "fn", "struct", "enum", "union", "trait", "impl", "type", "const", "static", "async",
    "unsafe", "extern",
];

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(sign) if sign.as_char() == ':')
}
