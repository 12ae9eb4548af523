//! Opcodes of the stack machine, in one list: number, name, operands, effect.
//!
//! Jumps only go forward, so every instruction runs at most once and a condition's length bounds its steps.

macro_rules! ops {
    ($($(#[$doc:meta])* $code:literal $name:ident,)*) => {
        $($(#[$doc])* pub(crate) const $name: u8 = $code;)*

        /// The opcode's name, in lower case.
        pub(crate) fn name(code: u8) -> &'static str {
            match code {
                $($code => stringify!($name),)*
                _ => "?",
            }
        }
    };
}

ops! {
    /// Never compiled; what zeroed memory would run.
    0 FAULT,
    /// Pushes the value at `c`.
    1 CONST,
    /// Pushes principal (0), action (1), resource (2) or context (3), by `a`.
    2 VAR,
    /// Replaces a record or entity by its attribute `c`.
    3 ATTR,
    /// Replaces a record or entity by whether it has the attribute `c`.
    4 HAS,
    /// Replaces a record or entity by whether it has the path of `b` attributes from `paths[c]` on.
    5 HAS_PATH,
    /// A `false` on top stays and `c` instructions are skipped; a `true` is taken off.
    6 AND,
    /// A `true` on top stays and `c` instructions are skipped; a `false` is taken off.
    7 OR,
    /// Takes a Boolean off; if `false`, `c` instructions are skipped.
    8 BRANCH,
    /// Skips `c` instructions.
    9 JUMP,
    /// Demands a Boolean on top.
    10 BOOL,
    /// Takes a Boolean off; if `false`, the policy is not satisfied.
    11 REQUIRE,
    12 NOT,
    13 NEG,
    14 IS_EMPTY,
    15 EQ,
    16 LESS,
    17 LESS_EQ,
    18 ADD,
    19 SUB,
    20 MUL,
    21 IN,
    22 CONTAINS,
    23 CONTAINS_ALL,
    24 CONTAINS_ANY,
    25 GET_TAG,
    26 HAS_TAG,
    /// Replaces a string by whether it matches the pattern `c`.
    27 LIKE,
    /// Replaces an entity by whether its type is `c`.
    28 IS,
    /// Replaces the `c` topmost values by the set of them.
    29 SET,
    /// Replaces the `b` topmost values by a record of them under the keys from `paths[c]` on.
    30 RECORD,
    /// Calls the extension function `a`; its arguments are on the stack.
    31 CALL,
    /// Fails with the error kind `a`.
    32 FAIL,
    /// Pushes what the read `b` holds.
    33 READ,
    // Whole conjuncts. Each asks something of the read `b`; if it does not hold, or if `a` is 1 and it does, the policy
    // is not satisfied. Nothing is put on the stack.
    /// It equals the value at `c`.
    34 TEST_EQ,
    /// It equals the read `c`.
    35 TEST_EQ_READ,
    /// It is less than the value at `c`.
    36 TEST_LESS,
    37 TEST_LESS_EQ,
    /// The value at `c` is less than it.
    38 TEST_GREATER,
    39 TEST_GREATER_EQ,
    /// It is less than the read `c`.
    40 TEST_LESS_READ,
    41 TEST_LESS_EQ_READ,
    /// It is true.
    42 TEST_TRUE,
    /// It has the attribute `c`.
    43 TEST_HAS,
    /// Its type is `c`.
    44 TEST_IS,
    /// It is in the entity or set of entities at `c`.
    45 TEST_IN,
    /// It contains the value at `c`.
    46 TEST_HOLDS,
    /// It contains the read `c`.
    47 TEST_HOLDS_READ,
    /// The set at `c` contains it.
    48 TEST_ONE_OF,
    /// It matches the pattern `c`.
    49 TEST_LIKE,
}

/// Whether an instruction is a whole conjunct.
#[inline]
pub(crate) fn is_test(code: u8) -> bool {
    (TEST_EQ..=TEST_LIKE).contains(&code)
}

/// Whether `c` of a test is another read.
pub(crate) fn reads_two(code: u8) -> bool {
    matches!(code, TEST_EQ_READ | TEST_LESS_READ | TEST_LESS_EQ_READ | TEST_HOLDS_READ)
}

/// Extension functions: number, Cedar's name, number of arguments.
pub(crate) const FUNCTIONS: &[(u8, &str, u8)] = &[
    (FN_DECIMAL, "decimal", 1),
    (FN_IP, "ip", 1),
    (FN_DATETIME, "datetime", 1),
    (FN_DURATION, "duration", 1),
    (FN_LESS_THAN, "lessThan", 2),
    (FN_LESS_THAN_OR_EQUAL, "lessThanOrEqual", 2),
    (FN_GREATER_THAN, "greaterThan", 2),
    (FN_GREATER_THAN_OR_EQUAL, "greaterThanOrEqual", 2),
    (FN_IS_IPV4, "isIpv4", 1),
    (FN_IS_IPV6, "isIpv6", 1),
    (FN_IS_LOOPBACK, "isLoopback", 1),
    (FN_IS_MULTICAST, "isMulticast", 1),
    (FN_IS_IN_RANGE, "isInRange", 2),
    (FN_OFFSET, "offset", 2),
    (FN_DURATION_SINCE, "durationSince", 2),
    (FN_TO_DATE, "toDate", 1),
    (FN_TO_TIME, "toTime", 1),
    (FN_TO_MILLISECONDS, "toMilliseconds", 1),
    (FN_TO_SECONDS, "toSeconds", 1),
    (FN_TO_MINUTES, "toMinutes", 1),
    (FN_TO_HOURS, "toHours", 1),
    (FN_TO_DAYS, "toDays", 1),
];

pub(crate) const FN_DECIMAL: u8 = 1;
pub(crate) const FN_IP: u8 = 2;
pub(crate) const FN_DATETIME: u8 = 3;
pub(crate) const FN_DURATION: u8 = 4;
pub(crate) const FN_LESS_THAN: u8 = 5;
pub(crate) const FN_LESS_THAN_OR_EQUAL: u8 = 6;
pub(crate) const FN_GREATER_THAN: u8 = 7;
pub(crate) const FN_GREATER_THAN_OR_EQUAL: u8 = 8;
pub(crate) const FN_IS_IPV4: u8 = 9;
pub(crate) const FN_IS_IPV6: u8 = 10;
pub(crate) const FN_IS_LOOPBACK: u8 = 11;
pub(crate) const FN_IS_MULTICAST: u8 = 12;
pub(crate) const FN_IS_IN_RANGE: u8 = 13;
pub(crate) const FN_OFFSET: u8 = 14;
pub(crate) const FN_DURATION_SINCE: u8 = 15;
pub(crate) const FN_TO_DATE: u8 = 16;
pub(crate) const FN_TO_TIME: u8 = 17;
pub(crate) const FN_TO_MILLISECONDS: u8 = 18;
pub(crate) const FN_TO_SECONDS: u8 = 19;
pub(crate) const FN_TO_MINUTES: u8 = 20;
pub(crate) const FN_TO_HOURS: u8 = 21;
pub(crate) const FN_TO_DAYS: u8 = 22;

/// Cedar's name and number of arguments of an extension function.
pub(crate) fn function(id: u8) -> Option<(&'static str, u8)> {
    FUNCTIONS.iter().find(|(number, _, _)| *number == id).map(|(_, name, arity)| (*name, *arity))
}
