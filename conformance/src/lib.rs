//! The suite that certifies broker engines
