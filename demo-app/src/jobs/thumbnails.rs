//! Thumbnails of all pictures in a folder, several pictures at a time.
//!
//! The pixels are written to sealed memory that the app maps and shows as it is: they are not copied again on their way
//! to the texture on the screen.
//!
//! Pictures are not trusted. Their stated size is checked against [`Limits`] before memory is allocated, the format is
//! that of the content and not of the name, and a decoder that panics affects one picture only.

use std::{
    ffi::OsStr,
    io::{Cursor, Read},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbaImage};
use legwork::{Buffer, Ctx, Job};
use serde::{Deserialize, Serialize};

use super::{
    error::{EntryError, JobError},
    parallel,
    source::Source,
    summary::{Counter, Summary, grouped},
    walk,
};

/// The job: opens every picture below a folder and sends its thumbnail.
///
/// Files that are not pictures by content or by name are skipped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thumbnails {
    /// The folder.
    pub source: Source,
    /// The longer side of a thumbnail, in pixels; 1 to 1,024.
    pub side: u32,
}

/// A picture's thumbnail, or why it has none.
#[derive(Debug, Serialize, Deserialize)]
pub struct Picture {
    /// Relative to the folder.
    #[serde(with = "legwork::path")]
    pub path: PathBuf,
    /// The thumbnail, or the error.
    pub thumbnail: Result<Thumbnail, EntryError>,
}

/// Pixels that fit in the square of the requested size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Thumbnail {
    /// In pixels, at least 1.
    pub width: u32,
    /// In pixels, at least 1.
    pub height: u32,
    /// Rows from the top, four bytes a pixel: red, green, blue, alpha, not premultiplied.
    pub pixels: Buffer,
    /// Width and height of the picture itself, after its orientation was applied.
    pub original: (u32, u32),
}

/// The limits of a picture. Larger ones are an entry with [`EntryError::TooLarge`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The size of the file, in bytes.
    pub file: u64,
    /// Either side, in pixels.
    pub side: u32,
    /// All memory that a decoder allocates, in bytes: enough for a picture of 100 megapixels.
    pub memory: u64,
}

impl Limits {
    /// The limits of the job: 256 MiB a file, 30,000 pixels a side, 512 MiB of memory a picture.
    pub const JOB: Self = Self {
        file: 256 << 20,
        side: 30_000,
        memory: 512 << 20,
    };
}

impl Job for Thumbnails {
    type Message = Picture;
    type Output = Summary;
    type Error = JobError;

    fn run(self, cx: &Ctx<Self>) -> Result<Summary, JobError> {
        let side = self.side.clamp(1, 1024);
        let found = walk::walk(&self.source.folder, self.source.follow_links, |count| {
            cx.set_text(format!(
                "Looking for pictures, {} files found",
                grouped(count)
            ));
            Ok(cx.check()?)
        })?;
        log::info!("{} files to look at", found.len());
        // Before the total: “Looking for” does not fit a bar that has a length.
        let counter = Counter::new(found.len() as u64, "files");
        cx.set_text(counter.line());
        cx.set_total(found.len() as u64);

        let (skipped, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        parallel::for_each(
            &found,
            self.source.threads,
            |found| -> Result<(), JobError> {
                cx.check()?;
                let path = &found.path;
                let size = found.size.as_ref().map_err(Clone::clone);
                let opened = size.and_then(|_| open(&self.source.folder.join(path), &Limits::JOB));
                let small = match opened {
                    Ok(Some(opened)) => {
                        bytes.fetch_add(opened.bytes, Ordering::Relaxed);
                        Some(Ok(opened))
                    }
                    Ok(None) => None,
                    // A pipe or a folder without permission is not a picture that is missing.
                    Err(_) if !has_picture_name(path) => None,
                    Err(error) => Some(Err(error)),
                };
                cx.set_text(counter.add(matches!(small, Some(Err(_)))));
                cx.advance(1);
                let Some(small) = small else {
                    skipped.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                };
                let thumbnail = match small {
                    Ok(opened) => Ok(shrink(&opened.image, side)?),
                    Err(error) => {
                        log::warn!("{}: {error}", path.display());
                        Err(error)
                    }
                };
                cx.send(Picture {
                    path: path.clone(),
                    thumbnail,
                })?;
                Ok(())
            },
        )?;
        Ok(counter.summary(skipped.into_inner(), bytes.into_inner()))
    }
}

struct Opened {
    image: DynamicImage,
    bytes: u64,
}

/// Opens a picture; `None` for a file that is not a picture by content or by name.
fn open(path: &Path, limits: &Limits) -> Result<Option<Opened>, EntryError> {
    let (file, size) = walk::open(path)?;
    let mut reader = file.take(limits.file);
    // Enough for every signature; the rest is read only if it is a picture.
    let mut content = Vec::new();
    reader.by_ref().take(64).read_to_end(&mut content)?;
    let Ok(format) = image::guess_format(&content) else {
        return if has_picture_name(path) {
            Err(EntryError::NotAPicture)
        } else {
            Ok(None)
        };
    };
    if size > limits.file {
        return Err(EntryError::TooLarge);
    }
    reader.read_to_end(&mut content)?;
    let bytes = content.len() as u64;
    // A bug in a decoder affects this picture only. The panic is printed to standard error nevertheless.
    let image = panic::catch_unwind(AssertUnwindSafe(|| decode(&content, format, limits)))
        .unwrap_or_else(|_| Err(EntryError::Damaged("the decoder failed".into())))?;
    Ok(Some(Opened { image, bytes }))
}

fn decode(
    content: &[u8],
    format: ImageFormat,
    limits: &Limits,
) -> Result<DynamicImage, EntryError> {
    if format == ImageFormat::Jpeg && !ends_like_a_jpeg(content) {
        return Err(EntryError::CutShort);
    }
    let entry_error = |error| entry_error(error, format);
    let mut reader = ImageReader::with_format(Cursor::new(content), format);
    reader.limits(limits.for_decoder());
    let mut decoder = reader.into_decoder().map_err(entry_error)?;
    // The decoder's own limits do not include the picture that it returns.
    let (width, height) = decoder.dimensions();
    if width.max(height) > limits.side || decoder.total_bytes() > limits.memory {
        return Err(EntryError::TooLarge);
    }
    let orientation = decoder.orientation().map_err(entry_error)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(entry_error)?;
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

/// Whether the last scan of a JPEG is followed by the end-of-image marker.
///
/// The decoder fills missing parts with grey and reports no error. Neither marker can occur inside a scan, where every
/// 0xFF is followed by a zero or a restart marker.
fn ends_like_a_jpeg(content: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let scan = content
        .windows(2)
        .rposition(|marker| marker == START_OF_SCAN);
    scan.is_some_and(|scan| {
        content[scan..]
            .windows(2)
            .any(|marker| marker == END_OF_IMAGE)
    })
}

fn entry_error(error: ImageError, format: ImageFormat) -> EntryError {
    match error {
        ImageError::Limits(_) => EntryError::TooLarge,
        ImageError::Unsupported(_) => EntryError::NotAPicture,
        // The whole content is in memory, so its end is the end of the file.
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            EntryError::CutShort
        }
        error => {
            let message = chain(&error);
            // Not every decoder has an error kind for it, but each says it in its message.
            if ["end of file", "eof", "unexpected end", "fill whole buffer"]
                .iter()
                .any(|end| message.to_ascii_lowercase().contains(end))
            {
                return EntryError::CutShort;
            }
            let extension = format.extensions_str().first().unwrap_or(&"picture");
            EntryError::Damaged(format!("{} ({message})", extension.to_uppercase()))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !message.contains(&more) {
            message = format!("{message}: {more}");
        }
        cause = error.source();
    }
    message
}

/// Whether the name is that of a picture, of a format that can be opened here or not.
fn has_picture_name(path: &Path) -> bool {
    const OTHERS: [&str; 7] = ["avif", "heic", "heif", "jp2", "jpe", "jxl", "svg"];
    let Some(extension) = path.extension().and_then(OsStr::to_str) else {
        return false;
    };
    let extension = extension.to_ascii_lowercase();
    ImageFormat::from_extension(&extension).is_some() || OTHERS.contains(&extension.as_str())
}

fn shrink(image: &DynamicImage, side: u32) -> Result<Thumbnail, JobError> {
    let original = (image.width(), image.height());
    // A picture that is smaller than the square is not scaled.
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

    fn open_bytes(name: &str, content: &[u8]) -> Result<Option<(u32, u32)>, EntryError> {
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
    fn every_format_is_recognised_by_its_content() {
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
    fn an_incomplete_picture_is_an_entry() {
        for (format, name) in FORMATS {
            let content = picture(200, 200, format);
            for part in [content.len() / 2, content.len() - 40] {
                let error = open_bytes(name, &content[..part]).unwrap_err();
                assert!(
                    matches!(error, EntryError::CutShort | EntryError::Damaged(_)),
                    "{format:?} at {part} of {}: {error:?}",
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
    fn a_decompression_bomb_is_an_entry_and_takes_no_memory() {
        // Pictures of some hundred bytes: one above the limit of a side, and one below it that would take 3.4 GB.
        for side in [60_000_u32, 29_000] {
            let mut png = picture(1, 1, ImageFormat::Png);
            png[16..24].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
            let crc = crc32(&png[12..29]);
            png[29..33].copy_from_slice(&crc.to_be_bytes());
            assert_eq!(open_bytes("bomb.png", &png), Err(EntryError::TooLarge));
        }
    }

    #[test]
    fn a_jpeg_that_states_a_wrong_size_is_an_entry() {
        let mut jpeg = picture(64, 64, ImageFormat::Jpeg);
        let frame = jpeg
            .windows(2)
            .position(|marker| marker == [0xFF, 0xC0])
            .unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(open_bytes("lie.jpg", &jpeg), Err(EntryError::TooLarge));
    }

    #[test]
    fn a_text_with_the_name_of_a_picture_is_an_entry_and_any_other_is_skipped() {
        assert_eq!(
            open_bytes("letter.jpg", b"Dear all"),
            Err(EntryError::NotAPicture)
        );
        assert_eq!(
            open_bytes("phone.heic", b"ftypheic"),
            Err(EntryError::NotAPicture)
        );
        assert_eq!(open_bytes("letter.txt", b"Dear all"), Ok(None));
        assert_eq!(open_bytes("nothing.png", b""), Err(EntryError::NotAPicture));
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
        assert_eq!(open(&path, &limits).map(|_| ()), Err(EntryError::TooLarge));
    }

    #[test]
    fn the_job_sends_pixels_that_fit_and_continues_after_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let png = |width, height| picture(width, height, ImageFormat::Png);
        fs::write(dir.path().join("wide.png"), png(100, 50)).unwrap();
        fs::write(dir.path().join("small.png"), png(4, 3)).unwrap();
        fs::write(dir.path().join("bad.png"), &png(90, 90)[..60]).unwrap();
        fs::write(dir.path().join("notes.txt"), "no picture").unwrap();
        let job = Thumbnails {
            source: Source::new(dir.path()),
            side: 20,
        };
        let mut pictures = Vec::new();
        let tally = job.run_here(|picture| pictures.push(picture)).unwrap();
        assert_eq!((tally.entries, tally.failed, tally.skipped), (3, 1, 1));

        pictures.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(
            pictures[0].thumbnail.as_ref().unwrap_err(),
            &EntryError::CutShort
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

    /// The checksum of a PNG chunk.
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
