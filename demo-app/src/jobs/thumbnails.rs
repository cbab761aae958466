//! Small copies of every picture in a folder, several at a time.
//!
//! The pixels of each are written into sealed memory that the app maps and shows as it is: between
//! this process and the screen's texture nothing copies them again.
//!
//! Pictures come from anywhere, so each is met with suspicion. What it claims is checked against
//! [`Limits`] before memory is taken, what it *is* counts and not how it is called, and a decoder that
//! panics costs that one picture.

use std::{
    ffi::OsStr,
    io::{Cursor, Read},
    num::NonZero,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbaImage};
use legwork::{Buffer, Ctx, Job};
use serde::{Deserialize, Serialize};

use super::{Fault, Tally, grouped, parallel, progress::Counter, trouble::Trouble, walk};

/// The job: opens every picture below a folder and sends a small copy.
///
/// Files that neither are pictures nor are called so are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thumbnails {
    /// The folder.
    #[serde(with = "legwork::path")]
    pub folder: PathBuf,
    /// Whether links to files and folders count as what they lead to.
    pub follow_links: bool,
    /// The longer side of a small copy, in pixels; 1 to 1,024.
    pub side: u32,
    /// Pictures opened at the same time; as many as there are processors if not said.
    pub threads: Option<NonZero<usize>>,
}

/// One picture's small copy, or why it has none.
#[derive(Debug, Serialize, Deserialize)]
pub struct Picture {
    /// Relative to the folder.
    #[serde(with = "legwork::path")]
    pub path: PathBuf,
    /// The small copy, or the trouble.
    pub thumbnail: Result<Thumbnail, Trouble>,
}

/// Pixels that fit in the square that was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Thumbnail {
    /// In pixels, at least 1.
    pub width: u32,
    /// In pixels, at least 1.
    pub height: u32,
    /// Rows from the top, four bytes a pixel: red, green, blue, alpha, not premultiplied.
    pub pixels: Buffer,
    /// Width and height of the picture itself, the way up it is to be seen.
    pub original: (u32, u32),
}

/// What a picture may ask for. Larger ones are an entry with [`Trouble::TooLarge`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the file, in bytes.
    pub file: u64,
    /// Of either side, in pixels.
    pub side: u32,
    /// Of everything one decoder takes, in bytes: a picture of 100 megapixels, and what it takes to read it.
    pub memory: u64,
}

impl Limits {
    /// What the job allows: 256 MiB of file, 30,000 pixels a side, 512 MiB of memory a picture.
    pub const JOB: Self = Self {
        file: 256 << 20,
        side: 30_000,
        memory: 512 << 20,
    };
}

impl Job for Thumbnails {
    type Message = Picture;
    type Output = Tally;
    type Error = Fault;

    fn run(self, cx: &Ctx<Self>) -> Result<Tally, Fault> {
        let side = self.side.clamp(1, 1024);
        let found = walk::walk(&self.folder, self.follow_links, |count| {
            cx.set_text(format!(
                "Looking for pictures, {} files found",
                grouped(count)
            ));
            Ok(cx.check()?)
        })?;
        log::info!("{} files to look at", found.len());
        // The words first: a bar that has a length does not stand beside “Looking for”.
        let counter = Counter::new(found.len() as u64, "files");
        cx.set_text(counter.line());
        cx.set_total(found.len() as u64);

        let (skipped, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        parallel::for_each(&found, self.threads, |found| -> Result<(), Fault> {
            cx.check()?;
            let path = &found.path;
            let opened = match &found.size {
                Ok(_) => open(&self.folder.join(path), &Limits::JOB),
                Err(trouble) => Err(trouble.clone()),
            };
            let small = match opened {
                Ok(Some(opened)) => {
                    bytes.fetch_add(opened.bytes, Ordering::Relaxed);
                    Some(Ok(opened))
                }
                Ok(None) => None,
                // A pipe or a locked folder is no picture that is missed.
                Err(_) if !is_called_a_picture(path) => None,
                Err(trouble) => Some(Err(trouble)),
            };
            cx.set_text(counter.one_more(matches!(small, Some(Err(_)))));
            cx.advance(1);
            let Some(small) = small else {
                skipped.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            };
            let thumbnail = match small {
                Ok(opened) => Ok(shrink(&opened.image, side)?),
                Err(trouble) => {
                    log::warn!("{}: {trouble}", path.display());
                    Err(trouble)
                }
            };
            cx.send(Picture {
                path: path.clone(),
                thumbnail,
            })?;
            Ok(())
        })?;
        let skipped = skipped.into_inner();
        Ok(Tally {
            entries: counter.all() - skipped,
            failed: counter.failed(),
            skipped,
            bytes: bytes.into_inner(),
        })
    }
}

struct Opened {
    image: DynamicImage,
    bytes: u64,
}

/// Opens one picture; `None` for a file that is none and is not called one either.
fn open(path: &Path, limits: &Limits) -> Result<Option<Opened>, Trouble> {
    let (file, size) = walk::open(path)?;
    let mut reader = file.take(limits.file);
    // Enough for every signature; the rest is read only of what is a picture.
    let mut content = Vec::new();
    reader.by_ref().take(64).read_to_end(&mut content)?;
    let Ok(format) = image::guess_format(&content) else {
        return if is_called_a_picture(path) {
            Err(Trouble::NotAPicture)
        } else {
            Ok(None)
        };
    };
    if size > limits.file {
        return Err(Trouble::TooLarge);
    }
    reader.read_to_end(&mut content)?;
    let bytes = content.len() as u64;
    // A bug in a decoder is trouble with this picture alone. It is told on stderr all the same.
    let image = panic::catch_unwind(AssertUnwindSafe(|| decode(&content, format, limits)))
        .unwrap_or_else(|_| Err(Trouble::Damaged("the decoder failed".into())))?;
    Ok(Some(Opened { image, bytes }))
}

fn decode(content: &[u8], format: ImageFormat, limits: &Limits) -> Result<DynamicImage, Trouble> {
    if format == ImageFormat::Jpeg && !ends_like_a_jpeg(content) {
        return Err(Trouble::CutShort);
    }
    let trouble = |error| trouble_of(error, format);
    let mut reader = ImageReader::with_format(Cursor::new(content), format);
    reader.limits(limits.for_decoder());
    let mut decoder = reader.into_decoder().map_err(trouble)?;
    // The decoder checks what it takes itself; this is the picture that it hands out.
    let (width, height) = decoder.dimensions();
    if width.max(height) > limits.side || decoder.total_bytes() > limits.memory {
        return Err(Trouble::TooLarge);
    }
    let orientation = decoder.orientation().map_err(trouble)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(trouble)?;
    image.apply_orientation(orientation);
    Ok(image)
}

impl Limits {
    fn for_decoder(&self) -> image::Limits {
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(self.side);
        limits.max_image_height = Some(self.side);
        limits.max_alloc = Some(self.memory);
        limits
    }
}

/// Whether the last scan of a JPEG is followed by the mark of its end.
///
/// The decoder fills what is missing with grey and says nothing. Inside a scan both marks cannot occur
/// by chance: there, every 0xFF is followed by a zero or a restart mark.
fn ends_like_a_jpeg(content: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let scan = content.windows(2).rposition(|mark| mark == START_OF_SCAN);
    scan.is_some_and(|scan| content[scan..].windows(2).any(|mark| mark == END_OF_IMAGE))
}

fn trouble_of(error: ImageError, format: ImageFormat) -> Trouble {
    match error {
        ImageError::Limits(_) => Trouble::TooLarge,
        ImageError::Unsupported(_) => Trouble::NotAPicture,
        // The content is in memory: its end is the end of the file.
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Trouble::CutShort
        }
        error => {
            let said = chain(&error);
            // Not every decoder has a kind for it, but each says it.
            if ["end of file", "eof", "unexpected end", "fill whole buffer"]
                .iter()
                .any(|end| said.to_ascii_lowercase().contains(end))
            {
                return Trouble::CutShort;
            }
            let extension = format.extensions_str().first().unwrap_or(&"picture");
            Trouble::Damaged(format!("{} ({said})", extension.to_uppercase()))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said
}

/// Whether the name promises a picture, of a kind that can be opened here or not.
fn is_called_a_picture(path: &Path) -> bool {
    const OTHERS: [&str; 7] = ["avif", "heic", "heif", "jp2", "jpe", "jxl", "svg"];
    let Some(extension) = path.extension().and_then(OsStr::to_str) else {
        return false;
    };
    let extension = extension.to_ascii_lowercase();
    ImageFormat::from_extension(&extension).is_some() || OTHERS.contains(&extension.as_str())
}

fn shrink(image: &DynamicImage, side: u32) -> Result<Thumbnail, Fault> {
    let original = (image.width(), image.height());
    // A picture smaller than the square stays as it is.
    let small: RgbaImage = if original.0.max(original.1) > side {
        image.thumbnail(side, side).into_rgba8()
    } else {
        image.to_rgba8()
    };
    Ok(Thumbnail {
        width: small.width(),
        height: small.height(),
        pixels: Buffer::copy_from_slice(small.as_raw())?,
        original,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{ImageFormat, Rgba};

    use super::*;

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let image = RgbaImage::from_fn(width, height, |x, y| {
            Rgba([x as u8, y as u8, (x * y) as u8, 255])
        });
        let mut content = Cursor::new(Vec::new());
        let image = DynamicImage::from(image);
        let image = match format {
            ImageFormat::Jpeg => image.to_rgb8().into(),
            _ => image,
        };
        image.write_to(&mut content, format).unwrap();
        content.into_inner()
    }

    fn open_bytes(name: &str, content: &[u8]) -> Result<Option<(u32, u32)>, Trouble> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        let opened = open(&path, &Limits::JOB)?;
        Ok(opened.map(|opened| (opened.image.width(), opened.image.height())))
    }

    const FORMATS: [(ImageFormat, &str); 6] = [
        (ImageFormat::Bmp, "a.bmp"),
        (ImageFormat::Gif, "a.gif"),
        (ImageFormat::Jpeg, "a.jpg"),
        (ImageFormat::Png, "a.png"),
        (ImageFormat::Tiff, "a.tif"),
        (ImageFormat::WebP, "a.webp"),
    ];

    #[test]
    fn every_format_opens_whatever_it_is_called() {
        for (format, _) in FORMATS {
            let content = picture(40, 20, format);
            assert_eq!(
                open_bytes("wrong.txt", &content),
                Ok(Some((40, 20))),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_picture_that_is_cut_short_is_an_entry() {
        for (format, name) in FORMATS {
            let content = picture(200, 200, format);
            for part in [content.len() / 2, content.len() - 40] {
                let trouble = open_bytes(name, &content[..part]).unwrap_err();
                assert!(
                    matches!(trouble, Trouble::CutShort | Trouble::Damaged(_)),
                    "{format:?} at {part} of {}: {trouble:?}",
                    content.len()
                );
            }
        }
    }

    #[test]
    fn a_picture_cut_anywhere_never_panics_or_stops_the_job() {
        for (format, name) in FORMATS {
            let content = picture(33, 17, format);
            for part in (0..content.len()).step_by(content.len() / 60 + 1) {
                let _ = open_bytes(name, &content[..part]);
            }
        }
    }

    #[test]
    fn a_bomb_is_an_entry_and_takes_no_memory() {
        // 60,000 by 60,000 pixels in a file of some hundred bytes.
        let mut png = picture(1, 1, ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(open_bytes("bomb.png", &png), Err(Trouble::TooLarge));
    }

    #[test]
    fn a_bomb_below_the_side_is_stopped_by_memory() {
        // 29,000 by 29,000 pixels would be 3.4 GB.
        let mut png = picture(1, 1, ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0x71, 0x48, 0, 0, 0x71, 0x48]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(open_bytes("bomb.png", &png), Err(Trouble::TooLarge));
    }

    #[test]
    fn a_jpeg_that_lies_about_its_size_is_an_entry() {
        let mut jpeg = picture(64, 64, ImageFormat::Jpeg);
        let frame = jpeg
            .windows(2)
            .position(|mark| mark == [0xFF, 0xC0])
            .unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(open_bytes("lie.jpg", &jpeg), Err(Trouble::TooLarge));
    }

    #[test]
    fn a_text_that_is_called_a_picture_is_an_entry_and_any_other_is_left_out() {
        assert_eq!(
            open_bytes("letter.jpg", b"Dear all"),
            Err(Trouble::NotAPicture)
        );
        assert_eq!(
            open_bytes("phone.heic", b"ftypheic"),
            Err(Trouble::NotAPicture)
        );
        assert_eq!(open_bytes("letter.txt", b"Dear all"), Ok(None));
        assert_eq!(open_bytes("nothing.png", b""), Err(Trouble::NotAPicture));
    }

    #[test]
    fn a_file_above_the_limit_is_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.png");
        fs::write(&path, picture(8, 8, ImageFormat::Png)).unwrap();
        let limits = Limits {
            file: 32,
            ..Limits::JOB
        };
        assert_eq!(open(&path, &limits).map(|_| ()), Err(Trouble::TooLarge));
    }

    #[test]
    fn the_job_sends_pixels_that_fit_and_goes_on_after_trouble() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("wide.png"),
            picture(100, 50, ImageFormat::Png),
        )
        .unwrap();
        fs::write(
            dir.path().join("small.png"),
            picture(4, 3, ImageFormat::Png),
        )
        .unwrap();
        fs::write(
            dir.path().join("bad.png"),
            &picture(90, 90, ImageFormat::Png)[..60],
        )
        .unwrap();
        fs::write(dir.path().join("notes.txt"), "no picture").unwrap();
        let job = Thumbnails {
            folder: dir.path().to_owned(),
            follow_links: true,
            side: 20,
            threads: None,
        };
        let mut pictures = Vec::new();
        let tally = job.run_here(|picture| pictures.push(picture)).unwrap();
        assert_eq!((tally.entries, tally.failed, tally.skipped), (3, 1, 1));

        pictures.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(
            pictures[0].thumbnail.as_ref().unwrap_err(),
            &Trouble::CutShort
        );
        let sizes: Vec<_> = pictures[1..]
            .iter()
            .map(|picture| {
                let small = picture.thumbnail.as_ref().unwrap();
                assert_eq!(
                    small.pixels.len(),
                    (small.width * small.height * 4) as usize
                );
                (small.width, small.height, small.original)
            })
            .collect();
        assert_eq!(sizes, [(4, 3, (4, 3)), (20, 10, (100, 50))]);
    }

    /// As PNG has it, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 {
                    (crc >> 1) ^ 0xEDB8_8320
                } else {
                    crc >> 1
                }
            })
        })
    }
}
