//! A folder in the place of a mail server.

use std::io;
use std::path::{Path, PathBuf};

use common::private_files::{close_to_others, make_folder};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::error::SendError;

/// A folder that takes mails as `<delivery id>.eml`, for development.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create(path: &str) -> io::Result<Self> {
        let folder = PathBuf::from(path);
        make_folder(&folder)?;
        let mails: Vec<_> = std::fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "eml"))
            .collect();
        close_to_others(mails.iter().map(PathBuf::as_path).chain([folder.as_path()]));
        Ok(Self(folder))
    }

    /// Writes beside and renames: a reader sees a whole mail or none, a second try replaces the first.
    pub(super) async fn write(&self, id: Uuid, mail: &[u8]) -> Result<(), SendError> {
        let beside = self.0.join(format!(".{id}.part"));
        let place = self.0.join(format!("{id}.eml"));
        write_and_rename(&beside, &place, mail)
            .await
            .map_err(|error| SendError::Temporary {
                error: format!("the mail folder can't be written: {}", error.kind()),
                after: None,
            })
    }
}

async fn write_and_rename(beside: &Path, place: &Path, mail: &[u8]) -> io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(beside)
        .await?;
    file.write_all(mail).await?;
    file.sync_all().await?;
    drop(file);
    tokio::fs::rename(beside, place).await
}
