//! Memory of long pages, used again.
//!
//! The allocator maps a page of a megabyte afresh each time, and the system clears it when it is written to: a tenth of
//! a listing of 10,000 rows.
//!
//! ```text
//! a page becomes long ─► goes on in memory that is idle ─► Bytes, until the client has it all ─► dropped ─► idle
//! ```

use std::sync::Mutex;

use bytes::Bytes;

/// A page that takes less is the allocator's affair.
pub(super) const LONG: usize = 64 << 10;

/// A page that takes more is not kept: nobody asks for so much.
const LARGEST: usize = 4 << 20;

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
    /// The largest of those that take no more than `most`.
    fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        let fits = self.pages.iter().enumerate();
        let fits = fits.filter(|(_, page)| page.capacity() <= most);
        let (at, _) = fits.max_by_key(|(_, page)| page.capacity())?;
        let page = self.pages.swap_remove(at);
        self.size -= page.capacity();
        Some(page)
    }

    fn give(&mut self, mut page: Vec<u8>) {
        if page.capacity() <= LARGEST && self.size + page.capacity() <= MOST_IDLE {
            page.clear();
            self.size += page.capacity();
            self.pages.push(page);
        }
    }
}

/// Has a page that became long go on in memory of one that was sent, if there is some, of at most `most` bytes.
pub(super) fn go_on(page: &mut Vec<u8>, most: usize) {
    let idle = IDLE.lock().ok().and_then(|mut idle| idle.take(most));
    if let Some(mut larger) = idle.filter(|idle| idle.capacity() > page.capacity()) {
        larger.extend_from_slice(page);
        *page = larger;
    }
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
        idle.give(vec![7; LARGEST + 1]);
        for _ in 0..20 {
            idle.give(vec![7; 1 << 20]);
        }
        assert_eq!((idle.pages.len(), idle.size), (16, 16 << 20));
        assert_eq!(idle.take((1 << 20) - 1), None);
        let taken = Vec::from_iter((0..17).map_while(|_| idle.take(1 << 20)));
        let is_empty = |page: &Vec<u8>| page.is_empty() && page.capacity() == 1 << 20;
        assert!(taken.iter().all(is_empty));
        assert_eq!((taken.len(), idle.size), (16, 0));
    }

    /// A failure would mean that pages are never used again, or lose what was written before.
    #[test]
    fn a_long_page_goes_on_in_memory_that_was_sent() {
        let size = LARGEST - 77;
        drop(bytes_of(vec![7; size]));
        let mut page = b"begun".to_vec();
        go_on(&mut page, size - 1);
        assert!(page.capacity() < size);
        go_on(&mut page, size);
        assert_eq!((page.as_slice(), page.capacity()), (&b"begun"[..], size));
    }

    #[test]
    fn bytes_are_those_of_the_page() {
        for length in [0, 5, LONG - 1, LONG, LONG + 1] {
            assert_eq!(bytes_of(vec![7; length]), vec![7; length]);
        }
    }
}
