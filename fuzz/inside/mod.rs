//! What the fuzz targets call of the library's inside. It is a part of the library only if that is built with
//! `--cfg fuzzing`, as `cargo xtask fuzz` does.

mod decode;
mod frame;
mod receive;
mod shape;

pub use decode::decode;
pub use frame::frame;
pub use receive::receive;
pub use shape::shape;
