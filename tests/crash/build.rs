//! Builds the library that is preloaded into servers whose power is cut.

// A panic is how a build fails.
#![allow(clippy::unwrap_used)]

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=shim/powercut.c");
    let library = Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("powercut.so");
    let mut build = cc::Build::new();
    build
        .opt_level(2)
        .pic(true)
        .warnings(true)
        .extra_warnings(true);
    let mut compiler = build.get_compiler().to_command();
    compiler.arg("-shared").arg("-o").arg(&library);
    compiler.args(["shim/powercut.c", "-ldl", "-lpthread"]);
    let status = compiler.status().unwrap();
    assert!(status.success(), "the C compiler failed: {compiler:?}");
}
