#![no_main]

use legwork::fuzz::shape;
use legwork_fuzz::below;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| below(4 << 20, || shape(bytes)));
