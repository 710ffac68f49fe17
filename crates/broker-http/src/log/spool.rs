//! A bounded queue with a thread that writes what is put in.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// After a batch the thread sleeps so long before it blocks on the queue. Under load it is thus
/// never blocked there, and a sender never pays the system call that would wake it.
const PAUSE: Duration = Duration::from_millis(1);
/// Most items that are written as one batch.
const BATCH: usize = 256;

/// What is waiting to be written.
#[derive(Debug)]
pub(super) struct Spool<T> {
    sender: SyncSender<Message<T>>,
    dropped: Arc<AtomicU64>,
}

impl<T> Clone for Spool<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            dropped: Arc::clone(&self.dropped),
        }
    }
}

#[derive(Debug)]
enum Message<T> {
    Item(T),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// Where items go.
pub(super) trait Drain<T>: Send + 'static {
    /// Writes a batch; `dropped` items were lost before it because the queue was full.
    fn write(&mut self, items: &[T], dropped: u64);
}

impl<T: Send + 'static> Spool<T> {
    /// Starts a writer thread, which ends after the last clone of the spool is dropped.
    pub(super) fn start(name: &str, room: usize, drain: impl Drain<T>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(room);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || run(&receiver, &counter, drain))?;
        Ok(Self { sender, dropped })
    }

    /// Puts an item in, or drops it if the queue is full. Never blocks.
    pub(super) fn put(&self, item: T) {
        if self.sender.try_send(Message::Item(item)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything put in so far is written, or the thread is gone.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.sender.send(Message::Flush(done)).is_ok() {
            // A writer that hangs must not keep the process from exiting.
            let _ = flushed.recv_timeout(limit);
        }
    }
}

fn run<T>(receiver: &Receiver<Message<T>>, dropped: &AtomicU64, mut drain: impl Drain<T>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut idle = true;
    loop {
        let first = if idle {
            receiver.recv().ok()
        } else {
            receiver.try_recv().ok()
        };
        let Some(first) = first else {
            if idle {
                return;
            }
            idle = true;
            continue;
        };
        let mut flush = None;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Item(item) => batch.push(item),
                Message::Flush(done) => {
                    flush = Some(done);
                    break;
                }
            }
            next = if batch.len() < BATCH {
                receiver.try_recv().ok()
            } else {
                None
            };
        }
        let full = batch.len() >= BATCH;
        drain.write(&batch, dropped.swap(0, Ordering::Relaxed));
        batch.clear();
        if let Some(flush) = flush {
            // Nobody may be waiting any more.
            let _ = flush.send(());
        }
        if !full {
            thread::sleep(PAUSE);
        }
        idle = false;
    }
}
