//! The kept corpus of the fuzz targets (`fuzz/corpus`) runs in every test run, with the compiler at hand.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "the fuzz crate, whose file this is, needs them public")]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn the_kept_corpus_does_no_harm() {
    for (name, target) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let inputs: Vec<_> =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).collect();
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for input in inputs {
            let bytes = fs::read(input.unwrap().path()).unwrap();
            target(&bytes);
            // Each input cut short is an input too.
            for end in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
                target(&bytes[..end]);
            }
        }
    }
}
