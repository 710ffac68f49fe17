//! Swift's account and container tier in one binary
