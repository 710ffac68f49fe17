//! Builds the library that is preloaded into servers whose power is cut.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=shim/powercut.c");
    let out = std::env::var_os("OUT_DIR").expect("cargo names a folder for what a build makes");
    let library = Path::new(&out).join("powercut.so");
    let mut build = cc::Build::new();
    build
        .opt_level(2)
        .pic(true)
        .warnings(true)
        .extra_warnings(true);
    let mut compiler = build.get_compiler().to_command();
    compiler.arg("-shared").arg("-o").arg(&library);
    compiler.args(["shim/powercut.c", "-ldl", "-lpthread"]);
    let status = compiler
        .status()
        .expect("the C compiler that cc found starts");
    assert!(status.success(), "the C compiler failed: {compiler:?}");
}
