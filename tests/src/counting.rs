//! Counts what the calling thread asks of the heap: how often, and how much at once.
//!
//! The only file here with `unsafe`: a global allocator cannot be written without. A test binary that wants the
//! figures puts [`Counting`] in force with `#[global_allocator]`; the counts are variables of the calling thread, so
//! tests that run beside each other do not see each other. It adds nothing else to the system allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system allocator with counts.
#[derive(Debug)]
pub struct Counting;

/// What a piece of work asked of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Allocations and reallocations.
    pub calls: u64,
    /// The most bytes held at once beyond what was held before.
    pub peak_bytes: i64,
}

thread_local! {
    // Const and without a destructor: reaching them neither allocates nor registers anything.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static HELD_BYTES: Cell<i64> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Runs `work` and tells what it asked of the heap on this thread.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Use) {
    let (calls, held) = (CALLS.get(), HELD_BYTES.get());
    PEAK_BYTES.set(held);
    let result = work();
    let used = Use { calls: CALLS.get() - calls, peak_bytes: PEAK_BYTES.get() - held };
    (result, used)
}

fn count(layout: Layout) {
    // A thread that is being torn down is not counted; an allocator must not fail over that.
    let _ = CALLS.try_with(|calls| calls.set(calls.get().wrapping_add(1)));
    hold(layout.size() as i64);
}

fn hold(bytes: i64) {
    let _ = HELD_BYTES.try_with(|held| {
        held.set(held.get().wrapping_add(bytes));
        let _ = PEAK_BYTES.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// === impl Counting ===

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract of `GlobalAlloc`, and
// returns what `System` returned; `count` and `hold` neither allocate nor unwind. The callers' duties (a layout of
// non-zero size, a pointer from this allocator with its layout) pass on to `System` as they are.
#[expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; the tests count allocations with it"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: the caller's promise about `layout` is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // While a block moves, the old one and the new one may both be there.
        count(Layout::from_size_align(new_size, layout.align()).unwrap_or(layout));
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
