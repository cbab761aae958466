//! SHA-256 sums of all files in a folder, several files at a time.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use legwork::{Ctx, Job};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    error::{EntryError, JobError},
    parallel,
    source::Source,
    summary::{Counter, Summary, grouped},
    walk,
};

/// The job: reads every file below a folder and sends its sum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checksum {
    /// The folder.
    pub source: Source,
}

/// A file's sum, or why it has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// Relative to the folder.
    #[serde(with = "legwork::path")]
    pub path: PathBuf,
    /// The sum, or the error.
    pub sum: Result<Sum, EntryError>,
}

/// The sum of a file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// SHA-256.
    pub digest: [u8; 32],
    /// In bytes.
    pub size: u64,
}

impl Sum {
    /// The digest as 64 digits.
    pub fn hex(&self) -> String {
        use std::fmt::Write;
        self.digest
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    /// A line as sha256sum(1) writes and checks it, without its end. A name that would break the line is escaped.
    pub fn line(&self, path: &Path) -> Vec<u8> {
        let name = path.as_os_str().as_encoded_bytes();
        let mut line = Vec::with_capacity(name.len() + 67);
        if name
            .iter()
            .any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'))
        {
            line.push(b'\\');
        }
        line.extend_from_slice(self.hex().as_bytes());
        line.extend_from_slice(b"  ");
        for byte in name {
            match byte {
                b'\\' => line.extend_from_slice(b"\\\\"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                byte => line.push(*byte),
            }
        }
        line
    }
}

impl Job for Checksum {
    type Message = FileSum;
    type Output = Summary;
    type Error = JobError;

    fn run(self, cx: &Ctx<Self>) -> Result<Summary, JobError> {
        let found = walk::walk(&self.source.folder, self.source.follow_links, |count| {
            cx.set_text(format!("Counting files, {} found", grouped(count)));
            Ok(cx.check()?)
        })?;
        let bytes: u64 = found
            .iter()
            .filter_map(|found| found.size.as_ref().ok())
            .sum();
        log::info!("{} entries, {bytes} bytes to read", found.len());
        // Before the total: “Counting” does not fit a bar that has a length.
        let counter = Counter::new(found.len() as u64, "files");
        cx.set_text(counter.line());
        // One unit a file besides its bytes, so that a folder of empty files has progress as well.
        cx.set_total(bytes + found.len() as u64);

        let read = AtomicU64::new(0);
        parallel::for_each(
            &found,
            self.source.threads,
            |found| -> Result<(), JobError> {
                let mut counted = 0;
                let mut count = |bytes: u64| -> Result<(), JobError> {
                    cx.check()?;
                    cx.advance(bytes);
                    counted += bytes;
                    Ok(())
                };
                let sum = match &found.size {
                    Ok(_) => sum_of(&self.source.folder.join(&found.path), &mut count)?,
                    Err(error) => Err(error.clone()),
                };
                if let Err(error) = &sum {
                    log::warn!("{}: {error}", found.path.display());
                }
                read.fetch_add(counted, Ordering::Relaxed);
                // Bytes that are in the total and were not read count as done, or the bar would never be full.
                let expected = found.size.as_ref().map_or(0, |size| *size);
                cx.advance(1 + expected.saturating_sub(counted));
                cx.set_text(counter.add(sum.is_err()));
                cx.send(FileSum {
                    path: found.path.clone(),
                    sum,
                })?;
                Ok(())
            },
        )?;
        Ok(counter.summary(0, read.into_inner()))
    }
}

/// A file's sum. `count` is called with the length of every chunk that was read; its error ends the job.
fn sum_of(
    path: &Path,
    count: &mut impl FnMut(u64) -> Result<(), JobError>,
) -> Result<Result<Sum, EntryError>, JobError> {
    let (file, size) = match walk::open(path) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    sum_of_open(file, size, count)
}

fn sum_of_open(
    mut file: File,
    size: u64,
    count: &mut impl FnMut(u64) -> Result<(), JobError>,
) -> Result<Result<Sum, EntryError>, JobError> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut read = 0;
    loop {
        count(0)?;
        // One byte more than expected shows that the file grows, without reading it for ever.
        let want = (size - read + 1).min(CHUNK as u64) as usize;
        let got = match file.read(&mut chunk[..want]) {
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err(error.into())),
        };
        if got == 0 {
            break;
        }
        if read + got as u64 > size {
            return Ok(Err(EntryError::Changed));
        }
        read += got as u64;
        hasher.update(&chunk[..got]);
        count(got as u64)?;
    }
    Ok(if read == size {
        Ok(Sum {
            digest: hasher.finalize().into(),
            size,
        })
    } else {
        Err(EntryError::Changed)
    })
}

/// Large enough that the cost of a call does not matter, small enough for the cache.
const CHUNK: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn run(folder: &Path) -> (Result<Summary, String>, Vec<FileSum>) {
        let job = Checksum {
            source: Source::new(folder),
        };
        let mut sums = Vec::new();
        let end = job
            .run_here(|sum| sums.push(sum))
            .map_err(|error| error.to_string());
        sums.sort_by(|a, b| a.path.cmp(&b.path));
        (end, sums)
    }

    fn summary(entries: u64, failed: u64, bytes: u64) -> Result<Summary, String> {
        Ok(Summary {
            entries,
            failed,
            skipped: 0,
            bytes,
        })
    }

    #[test]
    fn the_sums_are_those_of_sha256() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("abc"), "abc").unwrap();
        fs::write(dir.path().join("empty"), "").unwrap();
        let (end, sums) = run(dir.path());
        assert_eq!(end, summary(2, 0, 3));
        let hex: Vec<_> = sums
            .iter()
            .map(|sum| sum.sum.as_ref().unwrap().hex())
            .collect();
        // The examples of FIPS 180-4.
        assert_eq!(
            hex,
            [
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ]
        );
    }

    #[test]
    fn a_line_is_as_sha256sum_writes_it() {
        let sum = Sum {
            digest: [0xab; 32],
            size: 1,
        };
        let hex = "ab".repeat(32);
        assert_eq!(sum.line(Path::new("a b")), format!("{hex}  a b").as_bytes());
        assert_eq!(
            sum.line(Path::new("a\nb\\")),
            format!("\\{hex}  a\\nb\\\\").as_bytes()
        );
    }

    #[test]
    fn an_empty_folder_has_an_empty_result() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(run(dir.path()), (summary(0, 0, 0), vec![]));
    }

    #[test]
    fn a_missing_folder_ends_the_job_with_an_error() {
        let (end, sums) = run(Path::new("/no/such/folder"));
        assert_eq!(end, Err("There is no folder “/no/such/folder”".into()));
        assert_eq!(sums, []);
    }

    #[test]
    fn an_entry_that_fails_does_not_affect_the_others() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("good"), "x").unwrap();
        symlink("nothing", dir.path().join("bad")).unwrap();
        let (end, sums) = run(dir.path());
        assert_eq!(end, summary(2, 1, 1));
        assert_eq!(
            sums[0],
            FileSum {
                path: "bad".into(),
                sum: Err(EntryError::Dangling)
            }
        );
        assert!(sums[1].sum.is_ok());
    }

    #[test]
    fn a_file_that_vanishes_is_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        let sum = sum_of(&dir.path().join("gone"), &mut |_| Ok(())).unwrap();
        assert_eq!(sum, Err(EntryError::Vanished));
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_an_entry_and_not_read_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "first").unwrap();
        let (file, size) = walk::open(&path).unwrap();
        // Like a writer that never stops: there is always more.
        let sum = sum_of_open(file, size, &mut |_| {
            use std::io::Write;
            File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(&[0; 4096])
                .unwrap();
            Ok(())
        });
        assert_eq!(sum.unwrap(), Err(EntryError::Changed));
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, vec![7; 3 * CHUNK]).unwrap();
        let (file, size) = walk::open(&path).unwrap();
        let sum = sum_of_open(file, size, &mut |_| {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(10)
                .unwrap();
            Ok(())
        });
        assert_eq!(sum.unwrap(), Err(EntryError::Changed));
    }

    #[test]
    fn reading_ends_when_the_job_is_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let end = sum_of(&path, &mut |_| Err("cancelled".into()));
        assert_eq!(end.unwrap_err().to_string(), "cancelled");
    }
}
