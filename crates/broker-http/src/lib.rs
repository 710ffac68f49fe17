//! Swift's account and container servers over any broker engine
