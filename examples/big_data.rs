//! A picture of many megabytes, drawn by a child process and read by the app where it lies: a `Buffer` travels as
//! a descriptor, not as bytes.
//!
//! ```sh
//! cargo run --example big_data
//! ```
//!
//! Beside legwork it takes serde.

use std::error::Error;

use legwork::prelude::*;
use legwork::{Buffer, BufferMut, Ctx, glib};
use serde::{Deserialize, Serialize};

/// The job: a colour wheel of so many pixels on each side.
#[derive(Serialize, Deserialize)]
struct Draw {
    side: usize,
}

/// What it answers. A buffer may stand anywhere in a value, beside anything.
#[derive(Serialize, Deserialize)]
struct Picture {
    width: usize,
    stride: usize,
    rgba: Buffer,
}

impl legwork::Job for Draw {
    type Message = ();
    type Output = Picture;
    type Error = Box<dyn Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<Picture, Self::Error> {
        let stride = self.side * 4;
        let mut rgba = BufferMut::new(stride * self.side)?; // shared memory, filled in place
        cx.set_total(self.side as u64);
        for (y, row) in rgba.chunks_exact_mut(stride).enumerate() {
            cx.check()?;
            for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
                let level = |part: usize| (part * 255 / self.side) as u8;
                pixel.copy_from_slice(&[level(x), level(y), 255 - level(x), 255]);
            }
            cx.advance(1);
        }
        Ok(Picture {
            width: self.side,
            stride,
            rgba: rgba.seal()?, // from here on nobody can change it, which makes it safe to share
        })
    }
}

legwork::jobs! {
    static JOBS = [Draw];
}

fn main() -> Result<(), Box<dyn Error>> {
    JOBS.run_if_worker();
    glib::MainContext::default().block_on(app())
}

async fn app() -> Result<(), Box<dyn Error>> {
    let job = Draw { side: 2048 }.spawn();
    let Picture {
        width,
        stride,
        rgba,
    } = job.await?;
    println!("{width} x {width} pixels, {} bytes", rgba.len());
    println!(
        "first pixel {:?}, last {:?}",
        &rgba[..4],
        &rgba[rgba.len() - 4..]
    );

    // What GTK takes, `gdk::MemoryTexture::new(width, height, format, &bytes, stride)` for one: the same memory.
    let bytes: glib::Bytes = rgba.to_bytes();
    assert_eq!(bytes[..].as_ptr(), rgba[..].as_ptr());
    println!("no byte was copied on the way to GLib; one row has {stride}");
    Ok(())
}
