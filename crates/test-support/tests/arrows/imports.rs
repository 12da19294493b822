//! Reads `use` declarations: nested braces, renames, globs.

use proc_macro2::Delimiter;

use crate::tokens::{Cursor, Written};

/// One path that a `use` brings in.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    pub(crate) path: Written,
    /// What it is called here: `Some("_")` for nobody, `None` for all that stands in the module at `path`.
    pub(crate) name: Option<String>,
}

/// Takes the declaration whose `use` has just been passed.
pub(crate) fn take_imports(cursor: &mut Cursor, imports: &mut Vec<Import>) {
    take_branch(cursor, &[], imports);
}

/// Takes one branch: up to the comma, the semicolon or the end.
fn take_branch(cursor: &mut Cursor, stem: &[String], imports: &mut Vec<Import>) {
    let line = cursor.line();
    let mut segments = stem.to_vec();
    let written = |segments| Written { segments, line };
    if cursor.is_separator(0) {
        segments.push(String::new());
        cursor.skip(2);
    }
    loop {
        if cursor.is_punct(0, '*') {
            cursor.skip(1);
            imports.push(Import {
                path: written(segments),
                name: None,
            });
            return;
        }
        if let Some(group) = cursor.group(0, Delimiter::Brace) {
            cursor.skip(1);
            let mut inner = Cursor::new(group.stream());
            while inner.peek(0).is_some() {
                take_branch(&mut inner, &segments, imports);
                inner.skip(1);
            }
            return;
        }
        let Some(path) = cursor.take_path() else { return };
        segments.extend(path.segments);
        if cursor.is_separator(0) {
            cursor.skip(2);
            continue;
        }
        // `a::{self}` and `a::self` are `a`.
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let mut name = segments.last().cloned();
        if cursor.is_word(0, "as") {
            name = cursor.word(1);
            cursor.skip(2);
        }
        imports.push(Import {
            path: written(segments),
            name: name.or(Some("_".to_owned())),
        });
        return;
    }
}
