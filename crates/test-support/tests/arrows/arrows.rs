//! Resolves what each file names to the files where it is defined: the arrows.
//!
//! A name is followed through imports, renames, globs and re-exports to its definition. Every file
//! on that way is the target of an arrow, a `mod.rs` that the name passes included: where such a front
//! counts is for the reader of the arrows to say.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Import;
use crate::tree::{ROOT, Tree};

/// Who uses whom, and the first line that does. The numbers are modules that are files.
pub(crate) type Arrows = BTreeMap<(usize, usize), usize>;

/// How many globs in a row are looked through: `use` of what a glob brought in, by a glob.
const GLOBS: usize = 3;

/// What was met on the way of one path.
#[derive(Default)]
struct Walk {
    /// Modules that define or re-export what was looked for.
    passed: BTreeSet<usize>,
    /// The module that the path itself names, if it names one.
    ended: Option<usize>,
    /// Where the walk has been: names may be re-exported in a ring.
    seen: BTreeSet<(usize, Vec<String>)>,
}

/// Finds the arrows between the files of a crate.
pub(crate) fn arrows(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    for (id, module) in tree.modules.iter().enumerate() {
        let mut note = |passed: BTreeSet<usize>, line: usize| {
            for target in passed {
                let target = tree.modules[target].of_file;
                if target != module.of_file {
                    let first = arrows.entry((module.of_file, target)).or_insert(line);
                    *first = line.min(*first);
                }
            }
        };
        for import in &module.facts.imports {
            note(tree.walk(id, &import.path.segments, GLOBS).passed, import.path.line);
            if import.name.is_none() {
                for (word, line) in &module.facts.words {
                    note(tree.walk_glob(id, import, word).passed, *line);
                }
            }
        }
        for path in &module.facts.paths {
            note(tree.walk(id, &path.segments, GLOBS).passed, path.line);
        }
        for call in &module.facts.calls {
            note(
                tree.defining_macro(id, &call.segments[0]).into_iter().collect(),
                call.line,
            );
        }
    }
    arrows
}

impl Tree {
    /// Follows a path that is written in `from`.
    fn walk(&self, from: usize, path: &[String], globs: usize) -> Walk {
        let mut walk = Walk::default();
        self.follow(from, path, globs, &mut walk);
        walk
    }

    /// Follows a word of `from` that a glob there may have brought in.
    fn walk_glob(&self, from: usize, glob: &Import, word: &str) -> Walk {
        let mut walk = Walk::default();
        if let Some(target) = self.glob_target(from, glob, GLOBS)
            && self.knows(target, word, GLOBS)
        {
            self.descend(target, &[word.to_owned()], GLOBS, &mut walk);
        }
        walk
    }

    /// The module where a macro is defined that `from` calls by its bare name.
    fn defining_macro(&self, from: usize, name: &str) -> Option<usize> {
        let defines = |id: &usize| self.modules[*id].facts.macros.contains(name);
        // What stands above the `mod` of a child is known in the child; `#[macro_use]` reaches further.
        let above = self.way_to(from).into_iter().rev().find(defines);
        above.or_else(|| (0..self.modules.len()).find(defines))
    }

    /// Takes the first step of a path that is written in `from`. A path into another crate has none.
    fn follow(&self, from: usize, path: &[String], globs: usize, walk: &mut Walk) {
        let Some(first) = path.first() else { return };
        if ["crate", "self", "super"].contains(&first.as_str()) || self.brings(from, first, globs) {
            self.descend(from, path, globs, walk);
        }
    }

    /// Takes the next step of a path that has come to the module `at`.
    fn descend(&self, at: usize, path: &[String], globs: usize, walk: &mut Walk) {
        let module = &self.modules[at];
        let Some((name, rest)) = path.split_first() else {
            walk.passed.insert(at);
            walk.ended = Some(at);
            return;
        };
        match name.as_str() {
            "crate" => return self.descend(ROOT, rest, globs, walk),
            "self" => return self.descend(at, rest, globs, walk),
            "super" => return self.descend(module.parent.unwrap_or(ROOT), rest, globs, walk),
            _ => {}
        }
        if !walk.seen.insert((at, path.to_vec())) {
            return;
        }
        let child = module.children.get(name);
        if let Some(child) = child {
            self.descend(*child, rest, globs, walk);
            if !rest.is_empty() {
                return;
            }
        }
        // A function or type may bear a module's name, so the search goes on.
        let mut found = child.is_some();
        for import in &module.facts.imports {
            if self.gives(at, import, name, globs) {
                found = true;
                walk.passed.insert(at);
                let below = if import.name.is_some() { rest } else { path };
                self.follow(at, &[&import.path.segments, below].concat(), globs, walk);
            }
        }
        if module.facts.items.contains(name) || !found {
            // What nobody writes down by its name is made by a macro of this module.
            walk.passed.insert(at);
        }
        if at == ROOT && !found {
            // `#[macro_export]` puts a macro at the root, wherever it is defined.
            walk.passed.extend(self.defining_macro(at, name));
        }
    }

    /// Whether a path in `at` that begins with `name` leads further than its own items.
    fn brings(&self, at: usize, name: &str, globs: usize) -> bool {
        let module = &self.modules[at];
        let mut imports = module.facts.imports.iter();
        module.children.contains_key(name) || imports.any(|import| self.gives(at, import, name, globs))
    }

    /// Whether `import`, which stands in `at`, makes `name` known there.
    fn gives(&self, at: usize, import: &Import, name: &str, globs: usize) -> bool {
        match &import.name {
            // `use anyhow::anyhow` asks another crate for it, unless a child has the name.
            Some(known) if import.path.segments[0] == name => {
                known == name && self.modules[at].children.contains_key(name)
            }
            Some(known) => known == name,
            None => self
                .glob_target(at, import, globs)
                .is_some_and(|target| self.knows(target, name, globs - 1)),
        }
    }

    /// Whether `name` can be found in the module `at`.
    fn knows(&self, at: usize, name: &str, globs: usize) -> bool {
        self.modules[at].facts.items.contains(name) || self.brings(at, name, globs)
    }

    /// The module of this crate whose names a glob takes.
    fn glob_target(&self, at: usize, glob: &Import, globs: usize) -> Option<usize> {
        self.walk(at, &glob.path.segments, globs.checked_sub(1)?).ended
    }
}
