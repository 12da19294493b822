//! Reads the text of one module: what it declares, imports, defines and names. Resolves nothing.
//!
//! It walks all tokens, those in macros included, and leaves out what stands under `#[cfg(test)]`.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::imports::{Import, take_imports};
use crate::tokens::{Cursor, Written};

/// Words that stand before the name of an item.
const NAMED_ITEMS: [&str; 8] = ["struct", "enum", "union", "trait", "type", "fn", "const", "static"];

/// What the text of one module says.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) declared: Vec<Declared>,
    pub(crate) imports: Vec<Import>,
    /// Names of the items that it defines, its macros included.
    pub(crate) items: BTreeSet<String>,
    pub(crate) macros: BTreeSet<String>,
    /// Every path of two and more segments.
    pub(crate) paths: Vec<Written>,
    /// Every macro that is called by its bare name.
    pub(crate) calls: Vec<Written>,
    /// Every word that stands alone or begins a path, with its first line: a glob may have brought it in.
    pub(crate) words: BTreeMap<String, usize>,
    /// Line of the first thing that is neither an attribute nor `mod x;` nor `use`.
    pub(crate) definition: Option<usize>,
}

/// A `mod` that stands in the text.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// The file that `#[path = ".."]` names.
    pub(crate) path: Option<String>,
    /// The text between its braces; `None`: it has a file.
    pub(crate) body: Option<Facts>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Between the items of the module.
    Module,
    /// In an item, or in the arguments of a macro.
    Inside,
}

/// Reads the text of a file.
///
/// # Panics
/// On text that is no Rust.
pub(crate) fn read(text: &str) -> Facts {
    let stream: TokenStream = text.parse().expect("Rust");
    let mut facts = Facts::default();
    facts.walk(stream, Level::Module);
    facts
}

impl Facts {
    fn walk(&mut self, stream: TokenStream, level: Level) {
        let mut cursor = Cursor::new(stream);
        let mut path = None;
        while cursor.peek(0).is_some() {
            if self.take_attribute(&mut cursor, &mut path)
                || cursor.skip_visibility()
                || self.take_declaration(&mut cursor, &mut path)
            {
                continue;
            }
            if level == Level::Module && !cursor.is_punct(0, ';') {
                self.definition.get_or_insert(cursor.line());
                self.note_item(&cursor);
            }
            if cursor.is_separator(0) {
                // The rest of `<T as Trait>::Item` or of `::other_crate::item`: begun elsewhere.
                cursor.skip(2);
                cursor.take_path();
            } else if let Some(written) = cursor.take_path() {
                self.note_path(&cursor, written);
            } else {
                if let Some(TokenTree::Group(group)) = cursor.peek(0) {
                    self.walk(group.stream(), Level::Inside);
                }
                cursor.skip(1);
            }
        }
    }

    /// Takes the attribute that begins here, with the item that it keeps for tests.
    fn take_attribute(&mut self, cursor: &mut Cursor, path: &mut Option<String>) -> bool {
        if !cursor.is_punct(0, '#') {
            return false;
        }
        let inner = usize::from(cursor.is_punct(1, '!'));
        let Some(group) = cursor.group(1 + inner, Delimiter::Bracket) else {
            return false;
        };
        cursor.skip(2 + inner);
        let attribute = Cursor::new(group.stream());
        if attribute.is_word(0, "cfg") && is_test(&attribute) {
            if inner == 1 {
                while cursor.peek(0).is_some() {
                    cursor.skip(1);
                }
            } else {
                cursor.skip_item();
                *path = None;
            }
        } else if attribute.is_word(0, "path") && attribute.is_punct(1, '=') {
            *path = attribute.peek(2).and_then(text_of);
        } else if !attribute.is_word(0, "doc") {
            self.walk_attribute(group.stream());
        }
        true
    }

    /// Attributes name paths as tokens and, as in `#[serde(with = "crate::a::b")]`, in text.
    fn walk_attribute(&mut self, stream: TokenStream) {
        self.walk_texts(stream.clone());
        self.walk(stream, Level::Inside);
    }

    fn walk_texts(&mut self, stream: TokenStream) {
        for token in stream {
            if let TokenTree::Group(group) = token {
                self.walk_texts(group.stream());
            } else if let Some(text) = text_of(&token)
                && text.contains("::")
                && let Ok(stream) = text.parse::<TokenStream>()
                && let Some(written) = Cursor::new(stream).take_path()
            {
                let line = token.span().start().line;
                self.paths.push(Written { line, ..written });
            }
        }
    }

    /// Takes the `use` or `mod` that begins here.
    fn take_declaration(&mut self, cursor: &mut Cursor, path: &mut Option<String>) -> bool {
        if cursor.is_word(0, "use") && !cursor.is_punct(1, '<') {
            cursor.skip(1);
            take_imports(cursor, &mut self.imports);
            return true;
        }
        if !cursor.is_word(0, "mod") {
            return false;
        }
        let Some(name) = cursor.word(1) else { return false };
        let body = cursor.group(2, Delimiter::Brace).map(|group| {
            self.definition.get_or_insert(cursor.line());
            let mut body = Self::default();
            body.walk(group.stream(), Level::Module);
            body
        });
        cursor.skip(3);
        let path = path.take();
        self.declared.push(Declared { name, path, body });
        true
    }

    /// Writes down the name of the item that begins here.
    fn note_item(&mut self, cursor: &Cursor) {
        let Some(keyword) = cursor.word(0) else { return };
        if keyword == "macro_rules" {
            let name = cursor.word(2);
            self.items.extend(name.clone());
            self.macros.extend(name);
        } else if NAMED_ITEMS.contains(&keyword.as_str()) {
            self.items.extend(cursor.word(1));
        }
    }

    /// Writes down a path that `cursor` has just taken.
    fn note_path(&mut self, cursor: &Cursor, written: Written) {
        self.words.entry(written.segments[0].clone()).or_insert(written.line);
        if written.segments.len() > 1 {
            self.paths.push(written);
        } else if cursor.is_punct(0, '!') && matches!(cursor.peek(1), Some(TokenTree::Group(_))) {
            self.calls.push(written);
        }
    }
}

/// Whether the attribute is `cfg(test)`.
fn is_test(attribute: &Cursor) -> bool {
    attribute
        .group(1, Delimiter::Parenthesis)
        .is_some_and(|group| group.stream().to_string() == "test")
}

/// What stands between the quotes of a string literal.
fn text_of(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    let text = literal.to_string();
    Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}
