//! One thread with a very large stack, used again and again.

use super::{Judge, Verdict};
use crate::impossible::impossible;
use crate::world::World;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// The worker's stack. It is address space; memory is taken only as far as a world nests.
pub const STACK_BYTES: usize = 1 << 30;

/// Asks Cedar on a thread of its own.
#[derive(Debug)]
pub struct Oracle {
    /// `None` only while the worker is being ended.
    jobs: Option<Sender<Job>>,
    worker: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Judge) + Send>;

// === impl Oracle ===

impl Oracle {
    /// Starts the worker.
    ///
    /// # Panics
    ///
    /// When the system gives no thread.
    pub fn start() -> Self {
        let (jobs, queue) = channel();
        let worker = Builder::new()
            .name("oracle".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&queue))
            .unwrap_or_else(|why| impossible(&format!("no thread for the oracle: {why}")));
        Self { jobs: Some(jobs), worker: Some(worker) }
    }

    /// What Cedar says to `world`.
    ///
    /// # Panics
    ///
    /// When Cedar did.
    pub fn judge(&self, world: &World) -> Verdict {
        let world = world.clone();
        self.run(move |judge| judge.judge(&world))
    }

    /// Runs `task` on the worker, where the stack is large: a whole campaign, say, so that no world has to be copied.
    ///
    /// # Panics
    ///
    /// When `task` does; the worker is gone then.
    pub fn run<T: Send + 'static>(&self, task: impl FnOnce(&mut Judge) -> T + Send + 'static) -> T {
        let (answer, answered) = channel();
        let job: Job = Box::new(move |judge| {
            // The asker waits for the answer, so somebody is there to receive it.
            let _ = answer.send(task(judge));
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        match answered.recv() {
            Ok(answer) if sent => answer,
            _ => impossible("the oracle's thread is gone; its panic is printed above"),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Without a sender the worker's queue ends, and so does the worker.
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            // A panic in it was reported to whoever asked.
            let _ = worker.join();
        }
    }
}

fn work(queue: &Receiver<Job>) {
    let mut judge = Judge::default();
    while let Ok(job) = queue.recv() {
        job(&mut judge);
    }
}
