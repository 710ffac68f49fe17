//! One random history, played to Swift's own brokers and to every engine.
fn main() {}
