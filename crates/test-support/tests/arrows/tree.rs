//! The modules of one crate, found from its root by following `mod`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::facts::{self, Facts};

/// The place of the crate's root among the modules.
pub(crate) const ROOT: usize = 0;

/// The modules of one crate; the numbers are places in `modules`.
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
}

/// A module: a file, or a part of one.
pub(crate) struct Module {
    pub(crate) name: String,
    /// `None` for the root.
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    pub(crate) file: PathBuf,
    /// The module that the whole file is: an inline module counts as the file that it stands in.
    pub(crate) of_file: usize,
    pub(crate) facts: Facts,
}

/// Gives the text of a file, if there is one.
type Texts<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Tree {
    /// Reads a crate from the file of its root.
    ///
    /// # Panics
    /// When a file is missing or no Rust.
    pub(crate) fn read(root: &Path, texts: Texts<'_>) -> Self {
        let mut tree = Self { modules: Vec::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.add_file("crate", None, (root.to_owned(), folder), texts);
        tree
    }

    /// Adds the module that `file` is; its children stand in `folder`.
    fn add_file(&mut self, name: &str, parent: Option<usize>, place: (PathBuf, PathBuf), texts: Texts<'_>) -> usize {
        let (file, folder) = place;
        let text = texts(&file).unwrap_or_else(|| panic!("{} can't be read", file.display()));
        let module = Module {
            name: name.to_owned(),
            parent,
            children: BTreeMap::new(),
            file,
            of_file: self.modules.len(),
            facts: facts::read(&text),
        };
        self.add(module, &folder, texts)
    }

    /// Adds a module and all that it declares.
    fn add(&mut self, mut module: Module, folder: &Path, texts: Texts<'_>) -> usize {
        let id = self.modules.len();
        let (file, of_file) = (module.file.clone(), module.of_file);
        let declared = std::mem::take(&mut module.facts.declared);
        self.modules.push(module);
        for child in declared {
            let below = folder.join(&child.name);
            let child_id = if let Some(facts) = child.body {
                let module = Module {
                    name: child.name.clone(),
                    parent: Some(id),
                    children: BTreeMap::new(),
                    file: file.clone(),
                    of_file,
                    facts,
                };
                self.add(module, &below, texts)
            } else {
                let place = if let Some(path) = child.path {
                    let path = file.with_file_name(path);
                    let folder = path.parent().unwrap_or(folder).to_owned();
                    (path, folder)
                } else if texts(&below.with_extension("rs")).is_some() {
                    (below.with_extension("rs"), below)
                } else {
                    (below.join("mod.rs"), below)
                };
                self.add_file(&child.name, Some(id), place, texts)
            };
            self.modules[id].children.insert(child.name, child_id);
        }
        id
    }

    /// The crate's root first, then each module down to `id`.
    pub(crate) fn way_to(&self, id: usize) -> Vec<usize> {
        let mut way = vec![id];
        while let Some(parent) = self.modules[way[way.len() - 1]].parent {
            way.push(parent);
        }
        way.reverse();
        way
    }

    /// The module's path, as `crate::store::cache`.
    pub(crate) fn path_of(&self, id: usize) -> String {
        let names: Vec<_> = self
            .way_to(id)
            .iter()
            .map(|at| self.modules[*at].name.as_str())
            .collect();
        names.join("::")
    }

    /// Whether the module is a front that keeps to it: it declares, re-exports and is nothing by itself.
    pub(crate) fn only_re_exports(&self, id: usize) -> bool {
        self.is_front(id) && self.modules[id].facts.definition.is_none()
    }

    /// Describes each front that defines something.
    pub(crate) fn defining_fronts(&self) -> Vec<String> {
        let fronts = (0..self.modules.len()).filter(|id| self.is_front(*id));
        fronts
            .filter_map(|id| {
                let module = &self.modules[id];
                let line = module.facts.definition?;
                Some(format!("{}:{line} defines something", module.file.display()))
            })
            .collect()
    }

    /// Whether the file is a `mod.rs` or the root of a library.
    fn is_front(&self, id: usize) -> bool {
        let module = &self.modules[id];
        let name = module.file.file_name();
        module.of_file == id && name.is_some_and(|name| name == "mod.rs" || name == "lib.rs")
    }
}
