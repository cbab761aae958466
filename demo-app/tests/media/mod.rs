//! Recordings for tests, made here: a clone needs no large files and no network.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A tone of so many seconds.
pub(crate) fn tone(folder: &Path, seconds: u32) -> PathBuf {
    let file = folder.join("tone.wav");
    let source = format!("sine=frequency=440:duration={seconds}");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &source])
        .arg(&file)
        .status();
    assert!(made.expect("ffmpeg is installed").success());
    file
}

/// Six hours of a recording, nearly all of it silence that takes no room on the disk.
pub(crate) fn long_recording(folder: &Path) -> PathBuf {
    let path = tone(folder, 1);
    // The sizes that it states are those of RIFF, and of the data that follow their name.
    let size: u32 = 2_000_000_000;
    let bytes = std::fs::read(&path).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap() as u64;
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(u64::from(size)).unwrap();
    file.write_all_at(&(size - 8).to_le_bytes(), 4).unwrap();
    let sound = size - data as u32 - 8;
    file.write_all_at(&sound.to_le_bytes(), data + 4).unwrap();
    path
}
