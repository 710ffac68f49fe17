//! A fixed number of threads that do the blocking work, behind one bounded queue.

use crossbeam_channel::{Sender, TrySendError, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that run jobs in the order of their arrival.
///
/// Dropping the pool lets the queued jobs finish first.
#[derive(Debug)]
pub struct Pool {
    queue: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

/// The queue is full; the job was not taken.
#[derive(Debug)]
pub struct QueueFull;

impl Pool {
    /// Starts `workers` threads with room for `depth` waiting jobs; both are at least one.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(name: &str, workers: usize, depth: usize) -> std::io::Result<Self> {
        let (queue, jobs) = bounded::<Job>(depth.max(1));
        let start = |number| {
            let jobs = jobs.clone();
            let running = Running::begin();
            let run = move || {
                let _running = running;
                for job in jobs {
                    // A defect in one operation must not end the thread that serves all others; who
                    // waits for the operation is told by its reply channel being dropped.
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("an operation panicked on a worker thread");
                    }
                }
            };
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(run)
        };
        let workers = (0..workers.max(1))
            .map(start)
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            queue: Some(queue),
            workers,
        })
    }

    /// Hands a job over without waiting.
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait already.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), QueueFull> {
        let Some(queue) = &self.queue else {
            return Err(QueueFull);
        };
        queue.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => QueueFull,
        })
    }

    /// How many jobs wait for a thread.
    pub fn depth(&self) -> usize {
        self.queue.as_ref().map_or(0, Sender::len)
    }
}

/// Threads of all pools of the process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A thread that has begun, until it has ended.
struct Running;

impl Running {
    fn begin() -> Self {
        RUNNING.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Waits until no worker of any pool of the process runs any more, at most so long.
///
/// A worker that has answered may be the last to let go of an engine, and closes its databases then. When `main` returns
/// meanwhile, C++ libraries take away what their databases need to be closed, and abort.
pub fn wait_for_workers(patience: Duration) {
    let end = Instant::now() + patience;
    while RUNNING.load(Ordering::Acquire) > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue = None;
        let me = std::thread::current().id();
        for worker in self.workers.drain(..) {
            // The last owner may be a job: a thread cannot wait for itself.
            if worker.thread().id() != me && worker.join().is_err() {
                tracing::error!("a worker thread ended by a panic");
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// Takes its time to be closed.
    struct Database(Arc<AtomicBool>);

    impl Drop for Database {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(50));
            self.0.store(true, Ordering::Release);
        }
    }

    /// A failure would mean that a process ends while a worker closes a database.
    #[test]
    fn a_database_that_a_worker_closes_last_is_waited_for() {
        let closed = Arc::new(AtomicBool::new(false));
        let pool = Arc::new(Pool::start("last", 1, 1).unwrap());
        let (begin, begun) = std::sync::mpsc::channel();
        let last = (Database(Arc::clone(&closed)), Arc::clone(&pool));
        let job = move || {
            begun.recv().unwrap();
            drop(last);
        };
        pool.submit(job).ok().unwrap();
        drop(pool);
        begin.send(()).unwrap();
        wait_for_workers(Duration::from_secs(60));
        assert!(closed.load(Ordering::Acquire));
    }
}
