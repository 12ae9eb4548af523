//! Work done aside: by a thread that runs when nobody else wants to, and where that takes too long by whoever waits.
//!
//! The least priority among equals is not enough: Linux lets a thread that has it finish its turn of milliseconds before a
//! request that has come in, and a service feels that in its slowest answers. A thread of the idle policy is sent away at
//! once. It may get next to nothing on a machine that has no time left, so nobody waits for it without an end.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Does work aside, one piece at a time.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// A thread that took too long.
    left_behind: Option<JoinHandle<()>>,
}

// === impl Aside ===

impl Aside {
    /// Does the work aside if that takes no longer than `patience`, else here. What is left behind then goes on and comes
    /// to nothing; while it does, work is done here.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        work: Arc<dyn Fn() -> T + Send + Sync>,
        patience: Duration,
    ) -> T {
        if self.left_behind.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return work();
        }
        let (done, result) = sync_channel(1);
        let own = Arc::clone(&work);
        let spawned = thread::Builder::new().name("pdp-load".to_owned()).spawn(move || {
            give_way();
            // Nobody listens any more if it took too long.
            let _ = done.try_send(own());
        });
        // A thread that cannot be had, that panics and that takes too long are one: the work is not done.
        result.recv_timeout(patience).unwrap_or_else(|_| {
            self.left_behind = spawned.ok();
            work()
        })
    }
}

/// Lets every other thread go before this one and those that it starts, where the system can; it is no harm where not.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        let _ = set_thread_priority_and_policy(
            thread_native_id(),
            thread_priority::ThreadPriority::Min,
            ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[test]
    fn work_is_done_aside_and_comes_back() {
        let mut aside = Aside::default();
        for _ in 0..3 {
            assert_eq!(aside.run(Arc::new(name), SOON).as_deref(), Some("pdp-load"));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_aside_has_the_idle_policy() {
        let policy = || {
            let text = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
            let (_, fields) = text.rsplit_once(") ").unwrap_or_default();
            // The 41st field, of which the first two are cut off here.
            fields.split(' ').nth(38).map(str::to_owned)
        };
        assert_eq!(Aside::default().run(Arc::new(policy), SOON).as_deref(), Some("5"));
    }

    #[test]
    fn what_takes_too_long_or_panics_is_done_here_and_nothing_is_started_beside_what_is_left() {
        let mut aside = Aside::default();
        let (go_on, wait) = channel::<()>();
        let (calls, wait) = (Arc::new(AtomicUsize::new(0)), Mutex::new(wait));
        let counted = Arc::clone(&calls);
        let work = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            if name().as_deref() == Some("pdp-load") {
                // Until the test lets it go.
                let _ = wait.lock().map(|wait| wait.recv());
            }
            name()
        });
        let here = name();
        assert_eq!(aside.run(work.clone(), Duration::from_millis(50)), here);
        let after_first = calls.load(Ordering::SeqCst);
        assert_eq!(aside.run(work, SOON), here, "one is left behind");
        assert_eq!(calls.load(Ordering::SeqCst), after_first + 1);
        drop(go_on);
        let left = aside.left_behind.take();
        assert!(left.is_some_and(|left| left.join().is_ok()));

        let panics = Arc::new(|| assert_ne!(name().as_deref(), Some("pdp-load"), "on purpose"));
        aside.run(panics, SOON);
    }
}
