//! Plain exports, for any host that can call a function and write to memory. ABI version 1.
//!
//! | export | gives |
//! |---|---|
//! | `pdp_abi()` | 1 |
//! | `pdp_alloc(len)` | the address of a buffer of `len` bytes for the host to write to; 0 where there is none |
//! | `pdp_free(at, len)` | 1; the buffer is gone |
//! | `pdp_load(at, len)` | 1: the bundle is in force. -1: it is not one, the text says why, and the last one stays |
//! | `pdp_authorize(at, len)` | 1 allow, 0 deny, -1 the request in JSON cannot be read, which is a denial, too |
//! | `pdp_answer(at, len)` | the same; the text is the whole answer in JSON |
//! | `pdp_filter(at, len, at, len)` | how many resources of a JSON array are allowed; the text has a byte for each, 1 or 0 |
//! | `pdp_info()` | 1: the text is what is in force, in JSON. 0: there is no bundle |
//! | `pdp_text_at()`, `pdp_text_len()` | the text of the last call, until the next |
//!
//! Addresses and lengths are 32-bit numbers without sign, results with one. Every call that takes a span gives -2 where
//! it does not lie in one buffer that was handed out, and -3 for good once a call was ended from outside or by a trap:
//! what it was at may be half done. Only 1 allows. A module has no clock: see [`desk`](crate::desk) for what a
//! request's `now` is for. It imports nothing, so no call comes back before it is done.

use std::cell::RefCell;

use crate::buffers::Buffers;
use crate::desk::{Desk, Unreadable};
#[cfg(feature = "probe")]
use crate::probe::Script;
use crate::shape;

const ABI: i32 = 1;

const DONE: i32 = 1;
const ALLOW: i32 = 1;
const DENY: i32 = 0;
const NONE: i32 = 0;
const UNREADABLE: i32 = -1;
const NO_SPAN: i32 = -2;
const BROKEN: i32 = -3;

/// All that a module has.
#[derive(Default)]
struct Module {
    desk: Desk,
    buffers: Buffers,
    /// What the last call said beside its number.
    text: Vec<u8>,
}

thread_local! {
    // Borrowed while a call runs: a call that did not come to its end leaves it borrowed, and every later one sees that.
    static MODULE: RefCell<Module> = RefCell::default();
}

/// A span as the host states it.
#[derive(Clone, Copy)]
struct Stated {
    at: usize,
    len: usize,
}

// === impl Module ===

impl Module {
    /// What a call gives that reads one span.
    fn reading(
        span: Stated,
        work: impl FnOnce(&mut Desk, &[u8], &mut Vec<u8>) -> Result<i32, Unreadable>,
    ) -> i32 {
        Self::enter(|Self { desk, buffers, text }| {
            text.clear();
            let Some(bytes) = buffers.span(span.at, span.len) else { return NO_SPAN };
            work(desk, bytes, text).unwrap_or_else(|Unreadable(why)| {
                *text = why.into_bytes();
                UNREADABLE
            })
        })
    }

    fn enter(work: impl FnOnce(&mut Self) -> i32) -> i32 {
        MODULE.with(|module| module.try_borrow_mut().map_or(BROKEN, |mut module| work(&mut module)))
    }
}

fn judged(allowed: bool) -> i32 {
    if allowed { ALLOW } else { DENY }
}

// === exports ===

/// An export: its name is the interface, so it must not be changed by the compiler.
macro_rules! exports {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) -> $result:ty $body:block)*) => {
        $(
            $(#[$doc])*
            #[expect(
                unsafe_code,
                reason = "SAFETY: every name begins with `pdp_` and is given once, so no other symbol is replaced"
            )]
            #[unsafe(no_mangle)]
            extern "C" fn $name($($arg: $ty),*) -> $result $body
        )*
    };
}

exports! {
    fn pdp_abi() -> i32 {
        ABI
    }

    fn pdp_alloc(len: usize) -> usize {
        let mut lent = None;
        let _ = Module::enter(|module| {
            lent = module.buffers.lend(len);
            DONE
        });
        lent.unwrap_or_default()
    }

    fn pdp_free(at: usize, len: usize) -> i32 {
        Module::enter(|module| if module.buffers.take_back(at, len) { DONE } else { NO_SPAN })
    }

    fn pdp_load(at: usize, len: usize) -> i32 {
        Module::reading(Stated { at, len }, |desk, bytes, _| {
            desk.load(bytes).map(|_| DONE).map_err(Unreadable)
        })
    }

    fn pdp_authorize(at: usize, len: usize) -> i32 {
        Module::reading(Stated { at, len }, |desk, request, _| desk.authorize(request).map(judged))
    }

    fn pdp_answer(at: usize, len: usize) -> i32 {
        Module::reading(Stated { at, len }, |desk, request, text| {
            let (code, answer) = match desk.answer(request) {
                Ok(answer) => (judged(answer.effect == pdp_core::Effect::Allow), answer),
                Err(why) => (UNREADABLE, desk.refused(why)),
            };
            *text = shape::answer(&answer);
            Ok(code)
        })
    }

    fn pdp_filter(at: usize, len: usize, resources_at: usize, resources_len: usize) -> i32 {
        Module::enter(|Module { desk, buffers, text }| {
            text.clear();
            let spans = (buffers.span(at, len), buffers.span(resources_at, resources_len));
            let (Some(request), Some(resources)) = spans else { return NO_SPAN };
            match desk.filter_json(request, resources) {
                Ok(allowed) => {
                    text.extend(allowed.iter().map(|allowed| u8::from(*allowed)));
                    let count = allowed.iter().filter(|allowed| **allowed).count();
                    // The desk takes far fewer resources than fit a number.
                    i32::try_from(count).unwrap_or(UNREADABLE)
                }
                Err(Unreadable(why)) => {
                    *text = why.into_bytes();
                    UNREADABLE
                }
            }
        })
    }

    fn pdp_info() -> i32 {
        Module::enter(|Module { desk, text, .. }| match desk.info() {
            Some(info) => {
                *text = shape::info(&info);
                DONE
            }
            None => {
                text.clear();
                NONE
            }
        })
    }

    #[cfg(feature = "probe")]
    fn pdp_probe(at: usize, len: usize) -> i32 {
        Module::reading(Stated { at, len }, |desk, script, text| {
            *text = Script::read(script).said(desk.decider()).into_bytes();
            Ok(DONE)
        })
    }

    fn pdp_text_at() -> usize {
        let mut at = 0;
        let _ = Module::enter(|module| {
            at = module.text.as_ptr().expose_provenance();
            DONE
        });
        at
    }

    fn pdp_text_len() -> usize {
        let mut len = 0;
        let _ = Module::enter(|module| {
            len = module.text.len();
            DONE
        });
        len
    }
}
