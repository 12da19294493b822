//! A folder in the place of a mail server.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::error::SendError;

/// A folder that takes mails as `<delivery id>.eml`, for development.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create(path: &str) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(PathBuf::from(path)))
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
    let mut file = tokio::fs::File::create(beside).await?;
    file.write_all(mail).await?;
    file.sync_all().await?;
    drop(file);
    tokio::fs::rename(beside, place).await
}
