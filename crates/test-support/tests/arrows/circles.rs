//! Finds circles: at each module, among what stands below its children.
//!
//! Every arrow between two files below a module is drawn between those of its children that they stand
//! below. So a circle of files is found where its ways part, and modules form none either, even where
//! no single file does. A module that is a file of its own (`store.rs` beside `store/`) counts as a child of
//! itself; a `mod.rs` that only re-exports does not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::arrows::Arrows;
use crate::tree::Tree;

/// Arrows between the children of one module, each with the first arrow between files that makes it.
type Drawn = BTreeMap<(usize, usize), (usize, usize)>;

/// Describes every circle of a crate.
pub(crate) fn circles(tree: &Tree, arrows: &Arrows) -> Vec<String> {
    let mut found = Vec::new();
    for module in 0..tree.modules.len() {
        let drawn = draw(tree, arrows, module);
        let mut known = BTreeSet::new();
        for &(from, to) in drawn.keys() {
            let Some(mut way) = shortest_way(&drawn, to, from) else {
                continue;
            };
            way.rotate_right(1);
            if known.insert(way.iter().copied().collect::<BTreeSet<_>>()) {
                found.push(describe(tree, arrows, module, &drawn, &way));
            }
        }
    }
    found
}

/// The arrows below `module`, drawn between its children.
fn draw(tree: &Tree, arrows: &Arrows, module: usize) -> Drawn {
    let child_above = |file: usize| {
        let way = tree.way_to(file);
        let at = way.iter().position(|id| *id == module)?;
        match way.get(at + 1) {
            Some(child) => Some(*child),
            None => (!tree.only_re_exports(module)).then_some(module),
        }
    };
    let mut drawn = Drawn::new();
    for &(from, to) in arrows.keys() {
        if let (Some(above_from), Some(above_to)) = (child_above(from), child_above(to))
            && above_from != above_to
        {
            drawn.entry((above_from, above_to)).or_insert((from, to));
        }
    }
    drawn
}

/// The shortest way along the arrows, both ends included.
fn shortest_way(drawn: &Drawn, start: usize, end: usize) -> Option<Vec<usize>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::from([start]);
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        if last == end {
            return Some(way);
        }
        for &(from, to) in drawn.keys() {
            if from == last && seen.insert(to) {
                ways.push_back([way.as_slice(), &[to]].concat());
            }
        }
    }
    None
}

fn describe(tree: &Tree, arrows: &Arrows, module: usize, drawn: &Drawn, way: &[usize]) -> String {
    let nexts = way.iter().cycle().skip(1);
    let lines = way.iter().zip(nexts).map(|(above_from, above_to)| {
        let (from, to) = drawn[&(*above_from, *above_to)];
        let (line, from, to) = (arrows[&(from, to)], &tree.modules[from].file, &tree.modules[to].file);
        format!("\n    {}:{line} uses {}", from.display(), to.display())
    });
    format!("a circle in {}:{}", tree.path_of(module), lines.collect::<String>())
}
