//! Files and folders that hold what is personal: nobody but their owner looks into them, whatever the umask.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// What others than the owner may do.
const OTHERS: u32 = 0o077;
/// The sticky bit of a folder that is everybody's, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Makes a folder, and those above it that are missing, for the owner alone. One that is there stays as it is.
///
/// # Errors
/// An [`io::Error`] when it can't be made, or something else has its name.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Makes an empty file for the owner alone, unless it is there.
///
/// # Errors
/// An [`io::Error`] when it can't be made.
pub fn make_file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(FILE).open(path) {
        // The umask may have taken away from the owner as well.
        Ok(file) => file.set_permissions(Permissions::from_mode(FILE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Closes those of the files and folders that others than the owner can open, and warns of each in the log. A path that is
/// missing or a link, and a folder with the sticky bit, stay as they are. One that belongs to somebody else can't be closed:
/// the log says so.
pub fn close_to_others<'path>(paths: impl IntoIterator<Item = &'path Path>) {
    for path in paths {
        // Not through a link: its target may belong to somebody who did not ask for this.
        let Ok(found) = fs::symlink_metadata(path) else {
            continue;
        };
        if found.is_symlink() {
            continue;
        }
        let mode = found.permissions().mode();
        if mode & OTHERS == 0 || (found.is_dir() && mode & STICKY != 0) {
            continue;
        }
        let own = if found.is_dir() { FOLDER } else { FILE };
        match fs::set_permissions(path, Permissions::from_mode(own)) {
            Ok(()) => tracing::warn!(path = %path.display(), "personal data was open to other users: closed to them"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "personal data is open to others: close it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_the_owner_s_and_what_was_open_is_closed() {
        let folder = test_support::Folder::create();
        let inner = folder.path().join("a/b");
        make_folder(&inner).unwrap();
        assert_eq!((mode(&inner), mode(inner.parent().unwrap())), (FOLDER, FOLDER));
        let file = inner.join("x.db");
        make_file(&file).unwrap();
        assert_eq!(mode(&file), FILE);

        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        let shared = folder.path().join("shared");
        make_folder(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        make_file(&file).unwrap();
        close_to_others([file.as_path(), &inner, &shared, &inner.join("missing")]);
        assert_eq!((mode(&file), mode(&inner), mode(&shared)), (FILE, FOLDER, 0o1777));
    }
}
