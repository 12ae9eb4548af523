//! Hand-made faults: wrong turns built into index and evaluator, to prove that the tests would see them.
//!
//! Without the feature `faults` every switch is the constant `false` and compiles to nothing. With it, a test turns
//! on one fault at a time for the whole process. No shipped build has the feature; `deny.toml` and a test see to it.

macro_rules! faults {
    ($($(#[$doc:meta])* $bit:literal $name:ident $text:literal,)*) => {
        $($(#[$doc])* pub(crate) const $name: Fault = Fault($bit);)*

        /// Every fault: its number and what it does wrong.
        #[cfg(feature = "faults")]
        pub const ALL: &[(u8, &str)] = &[$(($bit, $text),)*];
    };
}

faults! {
    0 DROP_LAST_OF_CELL "the index forgets the last policy of a cell",
    1 DROP_ANY_PRINCIPAL "policies for any principal are not looked up",
    2 SWAP_PRINCIPAL_RESOURCE "principal and resource change places in the index",
    3 CLASS_WITHOUT_ANCESTORS "an inline entity does not hit the keys of its ancestors",
    4 UNKNOWN_TYPE_CLASS "an unknown entity hits no type key",
    #[cfg(feature = "compile")]
    5 UNLESS_IGNORED "`unless` is read as `when`",
    6 WRONG_ANCESTOR "`in` looks only at the first ancestor",
    7 IN_NOT_REFLEXIVE "an entity is not `in` itself",
    #[cfg(feature = "compile")]
    8 LIFT_PAST_ERROR "a conjunct is lifted over one that may fail",
    #[cfg(feature = "compile")]
    9 LIFT_TO_WRONG_DIMENSION "a lifted resource test is put on the principal",
    10 UNKNOWN_STRINGS_EQUAL "two strings that the bundle does not know are equal",
    11 FORBID_LOSES "a satisfied permit wins over a satisfied forbid",
    12 ERRORS_DROPPED "errors are not reported",
    13 REQUIRE_SKIPS_TYPE "a conjunct that is not Boolean counts as true",
    14 LESS_FOR_LESS_EQUAL "`<=` is read as `<`",
    15 OVERFLOW_WRAPS "`+` wraps",
    16 HAS_ERRS_NOT "`has` on a missing entity is true",
    17 SET_KEEPS_DUPLICATES "sets are compared without regard to duplicates",
    18 LIKE_WITHOUT_END "`like` does not look at the end of the text",
    19 TAG_AS_ATTRIBUTE "`getTag` reads attributes",
    20 MISSING_ENTITY_IS_FALSE "an attribute of a missing entity is false, not an error",
    #[cfg(feature = "compile")]
    21 ACTION_GROUPS_IGNORED "action groups are not followed",
    22 VALIDATION_SKIPPED "requests are not validated",
    23 IP_PREFIX_IGNORED "IP ranges are compared by address alone",
    24 CONTAINS_ANY_IS_ALL "`containsAny` is read as `containsAll`",
    25 INLINE_PARENTS_ONLY "of an inline entity only the direct parents count",
    26 GROUP_ERROR_IS_FALSE "a group whose path fails is passed over",
    #[cfg(feature = "compile")]
    27 GUARD_PAST_ERROR "an equality behind a conjunct that may fail is a guard",
    #[cfg(feature = "compile")]
    28 GUARD_FIRST_VALUE "of the alternatives of a guard only one counts",
    #[cfg(feature = "compile")]
    29 KIND_NOT_MARKED "a row does not say that it has cells for single resources",
    30 READS_KEPT "what paths hold is remembered from request to request",
    31 READ_ERROR_IS_FALSE "a path that cannot be followed holds false",
    #[cfg(feature = "compile")]
    32 PAIR_WITHOUT_LAST_ROW "a pair of classes lacks its last row",
    33 CONTEXT_FITS_UNSEEN "a context that is read along the schema is taken to fit it",
    34 COLUMN_WITHOUT_LAST "a column lacks its last cell",
    35 FILTER_KEEPS_READS "a filter keeps what paths of the resource hold from one resource to the next",
    36 OVERLAY_LEAVES_DESCENDANTS "what stands below an entity that was moved keeps its ancestors",
    37 OVERLAY_KEEPS_KEYS "a stored entity that was moved still hits the keys of where it was",
}

/// One fault's switch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault(
    #[cfg_attr(not(feature = "faults"), expect(dead_code, reason = "read with the feature only"))]
    u8,
);

#[cfg(not(feature = "faults"))]
impl Fault {
    #[inline(always)]
    pub(crate) const fn is_on(self) -> bool {
        false
    }
}

#[cfg(feature = "faults")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    const OFF: u8 = u8::MAX;
    static ON: AtomicU8 = AtomicU8::new(OFF);

    impl super::Fault {
        pub(crate) fn is_on(self) -> bool {
            ON.load(Ordering::Relaxed) == self.0
        }
    }

    /// Turns one fault on for the whole process, or all off.
    pub fn switch(fault: Option<u8>) {
        ON.store(fault.unwrap_or(OFF), Ordering::Relaxed);
    }
}

#[cfg(feature = "faults")]
pub use switch::switch;
