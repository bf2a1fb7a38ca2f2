//! Manifest files of arbitrary bytes. What must be true of them is said in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| arcology::declare::manifest::exercise::manifest(bytes));
