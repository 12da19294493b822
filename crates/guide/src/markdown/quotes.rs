//! Writes what the pages quote anew.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::quote::quote;
use super::tree::{LANGUAGES, pages};
use super::{Fence, Page};

/// Writes every quote of every page as its source has it now; gives back the pages that changed.
///
/// # Errors
/// When a page can't be read or written, or what it quotes is not there.
pub fn write_quotes(top: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    for language in LANGUAGES {
        for page in pages(top, language)? {
            let path = top.join(&page.file);
            let before = fs::read_to_string(&path)?;
            let after = renewed(top, &page, &before)?;
            if after != before {
                fs::write(&path, after)?;
                changed.push(PathBuf::from(page.file));
            }
        }
    }
    Ok(changed)
}

fn renewed(top: &Path, page: &Page, before: &str) -> anyhow::Result<String> {
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    // From the end, so that the line numbers of the blocks before stay right.
    for block in page.blocks.iter().rev() {
        let (Some(fence), Some(wanted)) = (block.fence(), block.marker("source")) else {
            continue;
        };
        let quoted = quote(top, wanted)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{}:{}", page.file, block.line))?;
        let Fence { covers, indent, .. } = fence;
        let quoted = quoted.lines().map(|line| match line {
            "" => String::new(),
            line => format!("{:indent$}{line}", ""),
        });
        lines.splice(covers.0..covers.1 - 1, quoted);
    }
    Ok(lines.into_iter().map(|line| line + "\n").collect())
}
