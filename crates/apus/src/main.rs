//! The `apus` command with the engines of this repository.

use std::process::ExitCode;

fn main() -> ExitCode {
    apus::run(&apus::Registry::built_in())
}
