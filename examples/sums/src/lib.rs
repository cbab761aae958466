use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use legwork::Ctx;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Computes the SHA-256 sums of the files in a folder. This value is sent to the child.
#[derive(Serialize, Deserialize)]
pub struct Checksum {
    #[serde(with = "legwork::path")] // the name of a folder need not be UTF-8
    pub folder: PathBuf,
}

impl legwork::Job for Checksum {
    type Message = String; // sent while it runs; none is lost
    type Output = usize; // the answer
    type Error = Box<dyn Error + Send + Sync>; // or anyhow::Error, or your own

    fn run(self, cx: &Ctx<Self>) -> Result<usize, Self::Error> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        cx.set_total(files.len() as u64);

        let mut piece = vec![0; 256 * 1024];
        for path in &files {
            let mut file = File::open(path)?;
            let mut hash = Sha256::new();
            loop {
                cx.check()?; // returns an error once the app has asked the job to stop
                match file.read(&mut piece)? {
                    0 => break,
                    length => hash.update(&piece[..length]),
                }
            }
            let digits: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
            cx.send(format!("{digits}  {}", path.display()))?; // waits if the app is slower
            cx.advance(1);
        }
        Ok(files.len())
    }
}

legwork::jobs! {
    /// Every job that a child can be asked to run.
    pub static JOBS = [Checksum];
}
