//! A folder that is gone when its test ends.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A folder of one test's own.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes an empty one.
    pub fn create() -> Self {
        let path = std::env::temp_dir().join(format!("waypost-test-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&path).expect("a folder in the temporary directory");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A server that has just been killed may still let go of its files.
        for _ in 0..10 {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
