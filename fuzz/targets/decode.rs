#![no_main]

use legwork::fuzz::decode;
use legwork_fuzz::below;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| below(16 << 20, || decode(bytes)));
