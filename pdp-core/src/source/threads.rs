//! Threads for Cedar's recursive parser: stacks as large as the nesting that `nesting` lets through, and as many of
//! them as there are cores where a text can be cut into parts. It knows nothing of what runs on them.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use crate::codes::{self, Diagnostic, Report};
use crate::limits::SourceLimits;

/// Runs `work` on a thread with a stack that the nesting let through fits into.
pub(crate) fn on_large_stack<T: Send>(
    limits: &SourceLimits,
    work: impl FnOnce() -> Result<T, Report> + Send,
) -> Result<T, Report> {
    thread::scope(|scope| {
        let thread =
            thread::Builder::new().stack_size(limits.parse_stack_bytes).spawn_scoped(scope, work);
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                let message = format!(
                    "no thread with a stack of {} bytes: {error}",
                    limits.parse_stack_bytes
                );
                Err(Diagnostic::new(codes::IO, message).into())
            }
        }
    })
}

/// What `work` makes of each item, in their order, on all cores. The caller's stack is as large as those of the threads
/// that are added to it; where the system has none to add, the caller does it all.
pub(super) fn map<I: Send, T: Send>(
    limits: &SourceLimits,
    items: Vec<I>,
    work: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    let helpers =
        thread::available_parallelism().map_or(1, NonZero::get).min(items.len()).saturating_sub(1);
    let queue = Mutex::new(items.into_iter().enumerate());
    // Each takes the next item when it is done with one: items of unequal length even out.
    let run = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
            match next {
                Some((at, item)) => done.push((at, work(item))),
                None => return done,
            }
        }
    };
    let mut done = thread::scope(|scope| {
        let helper = |_| {
            let builder = thread::Builder::new().stack_size(limits.parse_stack_bytes);
            builder.spawn_scoped(scope, run).ok()
        };
        let helpers: Vec<_> = (0..helpers).filter_map(helper).collect();
        let mut done = run();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_their_items() {
        let items: Vec<usize> = (0..1_000).collect();
        let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(map(&SourceLimits::STANDARD, items, |item| item * 2), doubled);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert!(map(&SourceLimits::STANDARD, Vec::new(), |item: u8| item).is_empty());
    }
}
