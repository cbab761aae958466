//! All files below a folder in order, and what could not be read.
//!
//! Only the folder itself can fail. Everything that is wrong below it (a folder without permission, a link that points
//! back to itself) is an entry, so that it never hides the rest.

use std::{
    collections::HashSet,
    error::Error,
    fmt,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::error::{EntryError, JobError};

/// One entry below a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Relative to the folder.
    pub(super) path: PathBuf,
    /// Its size in bytes, or why it cannot be read.
    pub(super) size: Result<u64, EntryError>,
}

impl Found {
    fn new(path: PathBuf, size: Result<u64, EntryError>) -> Self {
        Self { path, size }
    }
}

/// The folder itself could not be read.
#[derive(Debug)]
pub(super) struct FolderError {
    folder: PathBuf,
    cause: io::Error,
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        match self.cause.kind() {
            io::ErrorKind::NotFound => write!(f, "There is no folder “{folder}”"),
            io::ErrorKind::NotADirectory => write!(f, "“{folder}” is not a folder"),
            io::ErrorKind::PermissionDenied => {
                write!(f, "You do not have permission to read “{folder}”")
            }
            _ => write!(f, "“{folder}” could not be read"),
        }
    }
}

impl Error for FolderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Lists every file below `folder`, sorted by path.
///
/// With `follow_links`, links are followed, and each folder is read once however many links point to it; without it,
/// links are skipped. `progress` is called regularly with the number of entries so far; its error ends the walk.
pub(super) fn walk(
    folder: &Path,
    follow_links: bool,
    mut progress: impl FnMut(u64) -> Result<(), JobError>,
) -> Result<Vec<Found>, JobError> {
    let folder_error = |cause| FolderError {
        folder: folder.to_owned(),
        cause,
    };
    let first = fs::read_dir(folder).map_err(folder_error)?;
    let mut read = HashSet::from([identity(&fs::metadata(folder).map_err(folder_error)?)]);
    let mut found = Vec::new();
    let mut queue = vec![(PathBuf::new(), Some(first))];

    while let Some((path, listing)) = queue.pop() {
        progress(found.len() as u64)?;
        let listing = match listing.map_or_else(|| fs::read_dir(folder.join(&path)), Ok) {
            Ok(listing) => listing,
            Err(error) => {
                found.push(Found::new(path, Err(error.into())));
                continue;
            }
        };
        for (n, entry) in listing.enumerate() {
            if n % 256 == 255 {
                progress(found.len() as u64)?;
            }
            let path = match &entry {
                Ok(entry) => path.join(entry.file_name()),
                Err(error) => {
                    found.push(Found::new(path.clone(), Err(error.into())));
                    // A folder that fails once may fail for ever.
                    break;
                }
            };
            match kind_of(&folder.join(&path), follow_links) {
                Ok(Kind::File(size)) => found.push(Found::new(path, Ok(size))),
                Ok(Kind::Folder(id)) if read.insert(id) => queue.push((path, None)),
                Ok(Kind::Folder(_)) => {
                    found.push(Found::new(path, Err(EntryError::ReadBefore)));
                }
                Ok(Kind::Link) => {}
                Err(error) => found.push(Found::new(path, Err(error))),
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    progress(found.len() as u64)?;
    Ok(found)
}

enum Kind {
    File(u64),
    Folder((u64, u64)),
    Link,
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn kind_of(path: &Path, follow_links: bool) -> Result<Kind, EntryError> {
    let mut metadata = fs::symlink_metadata(path)?;
    if metadata.file_type().is_symlink() {
        if !follow_links {
            return Ok(Kind::Link);
        }
        metadata = fs::metadata(path).map_err(|error| match EntryError::from(error) {
            EntryError::Vanished => EntryError::Dangling,
            other => other,
        })?;
    }
    let kind = metadata.file_type();
    if kind.is_dir() {
        Ok(Kind::Folder(identity(&metadata)))
    } else if kind.is_file() {
        Ok(Kind::File(metadata.len()))
    } else {
        // A device, a socket or a pipe.
        Err(EntryError::Special)
    }
}

/// Opens a file, and returns it with its current size.
///
/// A file may have been replaced by a pipe since the folder was listed: this does not wait for a writer, and refuses
/// everything but files before a byte is read.
pub(super) fn open(path: &Path) -> Result<(File, u64), EntryError> {
    use rustix::fs::OFlags;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(EntryError::Special)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{
            ffi::OsStrExt,
            fs::{PermissionsExt, symlink},
            net::UnixListener,
        },
        thread,
    };

    use super::*;

    fn list(folder: &Path) -> Vec<(String, Result<u64, EntryError>)> {
        walk(folder, true, |_| Ok(()))
            .unwrap()
            .into_iter()
            .map(|found| (found.path.to_string_lossy().into_owned(), found.size))
            .collect()
    }

    #[test]
    fn files_come_sorted_with_their_sizes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/inner"), "12345").unwrap();
        fs::write(dir.path().join("c"), "").unwrap();
        fs::write(dir.path().join("a"), "123").unwrap();
        assert_eq!(
            list(dir.path()),
            [
                ("a".into(), Ok(3)),
                ("b/inner".into(), Ok(5)),
                ("c".into(), Ok(0))
            ]
        );
    }

    #[test]
    fn a_missing_folder_is_a_clear_error() {
        let error = walk(Path::new("/no/such/folder"), true, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "There is no folder “/no/such/folder”");
    }

    #[test]
    fn a_file_instead_of_a_folder_is_a_clear_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = walk(file.path(), true, |_| Ok(())).unwrap_err();
        assert!(error.to_string().ends_with("is not a folder"), "{error}");
    }

    #[test]
    fn an_empty_folder_has_no_entries() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(list(dir.path()), []);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_kept_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"caf\xe9.txt");
        fs::write(dir.path().join(name), "x").unwrap();
        let found = walk(dir.path(), true, |_| Ok(())).unwrap();
        assert_eq!(found[0].path.as_os_str(), name);
    }

    #[test]
    fn a_folder_with_a_link_to_itself_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/file"), "x").unwrap();
        symlink("..", dir.path().join("a/up")).unwrap();
        assert_eq!(
            list(dir.path()),
            [
                ("a/file".into(), Ok(1)),
                ("a/up".into(), Err(EntryError::ReadBefore))
            ]
        );
    }

    #[test]
    fn links_without_a_target_are_entries() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        symlink("nothing", dir.path().join("c")).unwrap();
        assert_eq!(
            list(dir.path()),
            [
                ("a".into(), Err(EntryError::Loop)),
                ("b".into(), Err(EntryError::Loop)),
                ("c".into(), Err(EntryError::Dangling)),
            ]
        );
    }

    #[test]
    fn links_are_skipped_on_request() {
        let dir = tempfile::tempdir().unwrap();
        symlink("nothing", dir.path().join("c")).unwrap();
        assert_eq!(walk(dir.path(), false, |_| Ok(())).unwrap(), []);
    }

    #[test]
    fn a_socket_is_an_entry_and_is_never_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        assert_eq!(
            list(dir.path()),
            [("socket".into(), Err(EntryError::Special))]
        );
        assert_eq!(open(&path).unwrap_err(), EntryError::Special);
    }

    #[test]
    fn opening_a_pipe_does_not_wait_for_its_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(open(&path).unwrap_err(), EntryError::Special);
    }

    #[test]
    fn the_error_of_the_callback_ends_the_walk() {
        let dir = tempfile::tempdir().unwrap();
        let error = walk(dir.path(), true, |_| Err("stop".into())).unwrap_err();
        assert_eq!(error.to_string(), "stop");
    }

    #[test]
    fn a_folder_without_permission_is_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        let locked = dir.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::write(dir.path().join("open"), "x").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        let listed = as_ordinary_user(|| list(dir.path()));
        assert_eq!(
            listed,
            [
                ("locked".into(), Err(EntryError::Forbidden)),
                ("open".into(), Ok(1))
            ]
        );
    }

    #[test]
    fn a_first_folder_without_permission_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o000)).unwrap();
        let message =
            as_ordinary_user(|| walk(dir.path(), true, |_| Ok(())).unwrap_err().to_string());
        assert!(
            message.starts_with("You do not have permission to read"),
            "{message}"
        );
    }

    /// Root may read everything: where the tests run as root, one thread gives that up.
    fn as_ordinary_user<T: Send>(act: impl FnOnce() -> T + Send) -> T {
        use rustix::{process::Uid, thread::set_thread_res_uid};
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                if rustix::process::geteuid().is_root() {
                    let nobody = Uid::from_raw(65534);
                    set_thread_res_uid(nobody, nobody, nobody).unwrap();
                }
                act()
            });
            thread.join().unwrap()
        })
    }
}
