//! Counts what is asked of the heap: how often by the calling thread, and how much at once by all threads.
//!
//! The only file here with `unsafe`: a global allocator cannot be written without. A program that wants the figures
//! puts [`Counting`] in force with `#[global_allocator]`. Calls are counted in a variable of the thread, which costs
//! about a nanosecond each; bytes are counted only inside [`bytes`], for then all threads share a counter. It adds
//! nothing else to the system allocator, and is the same for every engine that is timed beside ours.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The system allocator with counts.
#[derive(Debug)]
pub struct Counting;

/// What a piece of work held of the heap, beyond what was held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it was done.
    pub after: i64,
    /// At most.
    pub peak: i64,
}

thread_local! {
    // Const and without a destructor: reaching it neither allocates nor registers anything.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

static COUNTS_BYTES: AtomicBool = AtomicBool::new(false);
static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// Runs `work` and tells how often it asked the heap, on this thread.
pub fn calls<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = CALLS.get();
    let result = work();
    (result, CALLS.get() - before)
}

/// Runs `work` and tells how much it and every thread beside it held. Not for use on two threads at once.
pub fn bytes<T>(work: impl FnOnce() -> T) -> (T, Held) {
    HELD.store(0, Ordering::Relaxed);
    PEAK.store(0, Ordering::Relaxed);
    COUNTS_BYTES.store(true, Ordering::Relaxed);
    let result = work();
    COUNTS_BYTES.store(false, Ordering::Relaxed);
    let held = Held { after: HELD.load(Ordering::Relaxed), peak: PEAK.load(Ordering::Relaxed) };
    (result, held)
}

fn count(size: usize) {
    // A thread that is being torn down is not counted; an allocator must not fail over that.
    let _ = CALLS.try_with(|calls| calls.set(calls.get().wrapping_add(1)));
    hold(size as i64);
}

fn hold(size: i64) {
    if COUNTS_BYTES.load(Ordering::Relaxed) {
        let held = HELD.fetch_add(size, Ordering::Relaxed) + size;
        PEAK.fetch_max(held, Ordering::Relaxed);
    }
}

// === impl Counting ===

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract of `GlobalAlloc`, and
// returns what `System` returned; `count` and `hold` neither allocate nor unwind. The callers' duties (a layout of
// non-zero size, a pointer from this allocator with its layout) pass on to `System` as they are.
#[expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; the benchmark counts allocations with it"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise about `layout` is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // While a block moves, the old one and the new one may both be there.
        count(new_size);
        hold(-(layout.size() as i64));
        // SAFETY: `ptr` came from `System` through this allocator, with this `layout`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        // SAFETY: `ptr` came from `System` through this allocator, with this `layout`.
        unsafe { System.dealloc(ptr, layout) }
    }
}
