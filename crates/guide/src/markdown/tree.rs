//! The pages of the guide, of each language.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::Page;

/// The languages, by the names of their folders in docs/guide.
pub const LANGUAGES: [&str; 2] = ["en", "zh"];

/// Reads a page; `file` is its path from the repository's top.
///
/// # Errors
/// When the file can't be read.
pub fn read(top: &Path, file: &str) -> anyhow::Result<Page> {
    let text = fs::read_to_string(top.join(file)).with_context(|| format!("{file} can't be read"))?;
    Ok(Page::parse(file, &text))
}

/// The pages of a language, sorted by file.
///
/// # Errors
/// When a folder or a page can't be read.
pub fn pages(top: &Path, language: &str) -> anyhow::Result<Vec<Page>> {
    let mut files = Vec::new();
    collect(top, &format!("docs/guide/{language}"), &mut files)?;
    files.sort();
    files.iter().map(|file| read(top, file)).collect()
}

fn collect(top: &Path, folder: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(top.join(folder)).with_context(|| format!("{folder} can't be read"))? {
        let entry = entry?;
        let file = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(top, &file, files)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "md") {
            files.push(file);
        }
    }
    Ok(())
}
