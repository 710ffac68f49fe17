//! Memory of long pages, used again.
//!
//! The allocator maps a page of a megabyte afresh each time, and the system clears it when it is written to: a tenth of
//! a listing of 10,000 rows.
//!
//! ```text
//! take ─► written by the engine ─► Bytes, until the client has it all ─► dropped ─► idle
//! ```

use std::sync::Mutex;

use bytes::Bytes;

/// A page that takes less is the allocator's affair.
const LONG: usize = 64 << 10;

/// What may be idle at most.
const MOST_IDLE: usize = 16 << 20;

/// Pages that nobody uses, and what they take together.
#[derive(Debug)]
struct Idle {
    pages: Vec<Vec<u8>>,
    size: usize,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle {
    pages: Vec::new(),
    size: 0,
});

impl Idle {
    fn take(&mut self) -> Vec<u8> {
        let page = self.pages.pop().unwrap_or_default();
        self.size -= page.capacity();
        page
    }

    fn give(&mut self, mut page: Vec<u8>) {
        if self.size + page.capacity() <= MOST_IDLE {
            page.clear();
            self.size += page.capacity();
            self.pages.push(page);
        }
    }
}

/// An empty page with the memory of one that was sent, if there is one.
pub(super) fn take() -> Vec<u8> {
    IDLE.lock()
        .map_or_else(|_| Vec::new(), |mut idle| idle.take())
}

/// The bytes of a page, whose memory is used again when they are dropped.
pub(super) fn bytes_of(page: Vec<u8>) -> Bytes {
    match page.capacity() < LONG {
        true => page.into(),
        false => Bytes::from_owner(Page(page)),
    }
}

struct Page(Vec<u8>);

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Ok(mut idle) = IDLE.lock() {
            idle.give(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure would mean that one client sees what another one's page held, or that memory is kept without a bound.
    #[test]
    fn pages_are_used_again_empty_and_few_of_them() {
        let mut idle = Idle {
            pages: Vec::new(),
            size: 0,
        };
        for _ in 0..20 {
            idle.give(vec![7; 1 << 20]);
        }
        assert_eq!((idle.pages.len(), idle.size), (16, 16 << 20));
        let taken = Vec::from_iter((0..17).map(|_| idle.take()));
        assert!(taken.iter().all(Vec::is_empty));
        let with_memory = taken.iter().filter(|page| page.capacity() == 1 << 20);
        assert_eq!((with_memory.count(), idle.size), (16, 0));
    }

    #[test]
    fn bytes_are_those_of_the_page() {
        for length in [0, 5, LONG - 1, LONG, LONG + 1] {
            assert_eq!(bytes_of(vec![7; length]), vec![7; length]);
        }
    }
}
