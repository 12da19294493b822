//! What `cargo metadata` tells of this workspace. No rule stands here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tree::Tree;

/// The packages of the workspace, as cargo describes them.
pub(crate) fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo metadata lists no packages");
    };
    packages
}

/// The sources of every library and binary; what stands in `tests/` may look anywhere and is not read.
pub(crate) fn sources() -> Vec<Tree> {
    let top = top();
    let read = |root: PathBuf| Tree::read(&root, &|file| fs::read_to_string(top.join(file)).ok());
    roots().into_iter().map(read).collect()
}

/// Every file that stands beside or below the root of a library or binary.
pub(crate) fn files() -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let top = top();
    let mut folders: Vec<_> = roots()
        .iter()
        .filter_map(|root| Some(top.join(root.parent()?)))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(path.strip_prefix(&top).expect("a source of the workspace").to_owned());
            }
        }
    }
    files
}

/// The root of every library and binary, as seen from the workspace's folder.
fn roots() -> Vec<PathBuf> {
    let top = top();
    let packages = packages();
    let targets = packages
        .iter()
        .flat_map(|package| package["targets"].as_array().expect("targets"));
    targets
        .filter(|target| target["kind"][0] == "lib" || target["kind"][0] == "bin")
        .map(|target| {
            let root = Path::new(target["src_path"].as_str().expect("src_path"));
            root.strip_prefix(&top).expect("a source of the workspace").to_owned()
        })
        .collect()
}

/// The workspace's folder.
fn top() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().expect("the workspace's folder")
}
