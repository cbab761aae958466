//! The jobs without a window: their results are printed or written as they arrive.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use legwork::{gio, prelude::*};
use legwork_demo::jobs::{Checksum, Picture, Source, Summary, Thumbnail, Thumbnails};

use super::{
    exit,
    report::{self, Report},
};
use crate::worker_program;

/// Prints the sum of every file; returns the exit code.
pub(super) async fn checksum(source: Source, report: &Report) -> io::Result<u8> {
    report.start("checksum", "folder", report::path(&source.folder))?;
    run(Checksum { source }, report, "files", async |file| {
        report.sum(&file)?;
        Ok(true)
    })
    .await
}

/// Writes the thumbnail of every picture to `out`; returns the exit code.
pub(super) async fn thumbnails(
    source: Source,
    side: u32,
    out: &Path,
    report: &Report,
) -> io::Result<u8> {
    if let Err(sentence) = prepare(&source.folder, out) {
        eprintln!("legwork-demo: {sentence}");
        return Ok(exit::USAGE);
    }
    report.start("thumbnails", "folder", report::path(&source.folder))?;
    run(
        Thumbnails { source, side },
        report,
        "pictures",
        async |picture| save(picture, out, report).await,
    )
    .await
}

/// Runs a job to its end; returns the exit code. `save` returns whether a result could be saved.
///
/// Output that cannot be written is an error, which stops the job by dropping its handle.
async fn run<J>(
    job: J,
    report: &Report,
    unit: &str,
    mut save: impl AsyncFnMut(J::Message) -> io::Result<bool>,
) -> io::Result<u8>
where
    J: legwork::Listed + legwork::Job<Output = Summary>,
{
    let stop = gio::Cancellable::new();
    let signal = exit::stop_on_signals(&stop, exit::now);
    let mut job = job
        .builder()
        .worker(&worker_program::worker())
        .cancellable(&stop)
        // The errors of entries are printed as results.
        .forward_logs(false)
        .spawn();

    let printed = report.follow(job.status(), &stop);
    let mut unsaved = 0;
    while let Some(message) = job.message().await {
        unsaved += u64::from(!save(message).await?);
    }
    let result = job.await;
    printed.replace(Ok(()))?;
    match result {
        Ok(mut summary) => {
            summary.failed += unsaved;
            report.completed(unit, &summary)?;
            Ok(if summary.failed == 0 { 0 } else { exit::PARTLY })
        }
        Err(error) => report.failed(&error, signal.get()),
    }
}

/// Creates the folder for the thumbnails. It must not be inside the folder that is read, or the next run would read the
/// thumbnails.
fn prepare(folder: &Path, out: &Path) -> Result<(), String> {
    let not_written = |error| format!("“{}” cannot be written to: {error}", out.display());
    fs::create_dir_all(out).map_err(not_written)?;
    let inside = fs::canonicalize(folder)
        .is_ok_and(|folder| fs::canonicalize(out).is_ok_and(|out| out.starts_with(folder)));
    if inside {
        return Err(format!(
            "“{}” is inside the folder that is read",
            out.display()
        ));
    }
    Ok(())
}

async fn save(picture: Picture, out: &Path, report: &Report) -> io::Result<bool> {
    let Picture { path, thumbnail } = picture;
    let thumbnail = match thumbnail {
        Ok(thumbnail) => thumbnail,
        Err(error) => {
            report.unread(&path, &error)?;
            // The job has counted it already.
            return Ok(true);
        }
    };
    let to = out.join(thumbnail_name(&path));
    let size = (thumbnail.width, thumbnail.height);
    let written = gio::spawn_blocking({
        let to = to.clone();
        move || write_png(&thumbnail, &to)
    });
    match written
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the encoder panicked")))
    {
        Ok(()) => report.picture(&path, &to, size).map(|()| true),
        Err(error) => report.unwritten(&to, &error).map(|()| false),
    }
}

/// The thumbnails of `a.jpg` and `a.png` have different names.
fn thumbnail_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("picture")).to_owned();
    name.push(".png");
    path.with_file_name(name)
}

fn write_png(thumbnail: &Thumbnail, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let format = image::ImageFormat::Png;
    let color = image::ExtendedColorType::Rgba8;
    let (width, height) = (thumbnail.width, thumbnail.height);
    image::save_buffer_with_format(to, &thumbnail.pixels, width, height, color, format)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_with_different_extensions_have_different_thumbnails() {
        assert_eq!(
            thumbnail_name(Path::new("a/b.jpg")),
            Path::new("a/b.jpg.png")
        );
        assert_eq!(thumbnail_name(Path::new("b")), Path::new("b.png"));
    }

    #[test]
    fn the_output_must_not_be_inside_the_input() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("in");
        fs::create_dir(&folder).unwrap();
        assert!(prepare(&folder, &folder.join("out")).is_err());
        assert!(prepare(&folder, &folder.join("../out")).is_ok());
    }
}
