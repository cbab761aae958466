#![no_main]

use legwork::fuzz::frame;
use legwork_fuzz::below;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| below(1 << 20, || frame(bytes)));
