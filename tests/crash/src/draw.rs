//! Random choices that a seed repeats.

/// A small generator of pseudo-random numbers (xorshift), so that a seed repeats a run's choices.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A generator; zero is no seed and taken for one.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next number.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
