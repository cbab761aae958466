//! Pictures for the demo to work on. They are drawn here, so that a clone needs neither large files nor a network.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

const WIDTH: u32 = 800;
const HEIGHT: u32 = 600;

/// Draws `count` pictures into `folder`, which is created if it is missing. Existing pictures are kept.
pub(crate) fn draw(folder: &Path, count: u32) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for number in 1..=count {
        let path = folder.join(format!("Picture {number:02}.png"));
        if !path.exists() {
            // An unfinished picture must not be taken for a complete one.
            let unfinished = path.with_extension("part");
            write_png(BufWriter::new(File::create(&unfinished)?), |x, y| {
                colour(number, x, y)
            })?;
            std::fs::rename(unfinished, path)?;
        }
    }
    Ok(())
}

/// Computes waves that cross each other, in different hues for each picture.
fn colour(number: u32, x: u32, y: u32) -> [u8; 3] {
    let (turn, x, y) = (
        number as f32 * 2.4,
        x as f32 / WIDTH as f32,
        y as f32 / HEIGHT as f32,
    );
    let wave = (7.0 * x + turn).sin()
        + (5.0 * y - turn).cos()
        + (6.0 * (x * turn.cos() + y * turn.sin())).sin();
    [0.0, 2.1, 4.2].map(|hue: f32| (128.0 + 110.0 * (0.9 * wave + turn + hue).sin()) as u8)
}

/// Writes a PNG file: <https://www.w3.org/TR/png-3/>. The pixels are stored without compression, which needs no
/// library.
fn write_png(mut out: impl Write, colour: impl Fn(u32, u32) -> [u8; 3]) -> Result<()> {
    let mut rows = Vec::new();
    for y in 0..HEIGHT {
        rows.push(0); // no filter
        rows.extend((0..WIDTH).flat_map(|x| colour(x, y)));
    }

    // RFC 1950 and 1951: a header, stored blocks of at most 65,535 bytes, a checksum.
    let mut stream = vec![0x78, 0x01];
    let mut blocks = rows.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(&rows).to_be_bytes());

    let mut header = Vec::new();
    header.extend(WIDTH.to_be_bytes());
    header.extend(HEIGHT.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]); // eight bits a channel, RGB, not interlaced

    out.write_all(b"\x89PNG\r\n\x1a\n")?;
    for (name, data) in [
        (b"IHDR", &header),
        (b"IDAT", &stream),
        (b"IEND", &Vec::new()),
    ] {
        let named = [&name[..], data].concat();
        out.write_all(&(data.len() as u32).to_be_bytes())?;
        out.write_all(&named)?;
        out.write_all(&crc32(&named).to_be_bytes())?;
    }
    out.flush()
}

fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    };
    !data.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_that_the_formats_publish() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
