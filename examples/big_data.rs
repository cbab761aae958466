//! A child process draws a picture of many megabytes, and the app reads it in place: a `Buffer` is passed as a
//! descriptor, not as bytes.
//!
//! ```sh
//! cargo run --example big_data
//! ```
//!
//! Besides legwork it needs serde.

use std::error::Error;

use legwork::prelude::*;
use legwork::{Buffer, BufferMut, Ctx, glib};
use serde::{Deserialize, Serialize};

/// The job: draws a square with a colour gradient, of `side` by `side` pixels.
#[derive(Serialize, Deserialize)]
struct Draw {
    side: usize,
}

/// The job's output. A buffer may be anywhere in a value, next to other fields.
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
            rgba: rgba.seal()?, // nobody can change it from here on, so it is safe to share
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

    // The same memory, as GTK takes it, for example in `gdk::MemoryTexture::new(width, height, format, &bytes, stride)`.
    let bytes: glib::Bytes = rgba.to_bytes();
    assert_eq!(bytes[..].as_ptr(), rgba[..].as_ptr());
    println!("no byte was copied on the way to GLib; one row has {stride}");
    Ok(())
}
