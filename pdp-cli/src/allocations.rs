//! Counts the heap allocations of each thread, for `pdp bench`.
//!
//! The only file with `unsafe`: a global allocator cannot be written without. It adds nothing to the system
//! allocator but a count in a variable of the calling thread, so threads do not slow each other down.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system allocator with a count.
#[derive(Debug)]
pub(crate) struct Counting;

thread_local! {
    // Const and without a destructor: reaching it neither allocates nor registers anything.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Allocations and reallocations of this thread so far.
pub(crate) fn of_this_thread() -> u64 {
    COUNT.try_with(Cell::get).unwrap_or(0)
}

fn count_one() {
    // A thread that is being torn down is not counted; an allocator must not fail over that.
    let _ = COUNT.try_with(|count| count.set(count.get().wrapping_add(1)));
}

// === impl Counting ===

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract of `GlobalAlloc`, and
// returns what `System` returned; `count_one` neither allocates nor unwinds. The callers' duties (a layout of
// non-zero size, a pointer from this allocator with its layout) pass on to `System` as they are.
#[expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; `bench` counts allocations with it"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise about `layout` is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_one();
        // SAFETY: `ptr` came from `System` through this allocator, with this `layout`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System` through this allocator, with this `layout`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_of_this_thread_are_counted() {
        let before = of_this_thread();
        let boxed = std::hint::black_box(Box::new(7_u64));
        assert_eq!(of_this_thread() - before, 1);
        drop(boxed);
        assert_eq!(of_this_thread() - before, 1);
    }
}
