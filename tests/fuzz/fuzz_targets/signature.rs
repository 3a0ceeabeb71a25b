#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| icr_bridge_fuzz::targets::signature::check(data));
