//! Cedar's extension types: `decimal`, `ip`, `datetime`, `duration`.
//!
//! Meaning, accepted text and overflow are those of cedar-policy 4.14 (its `extensions` modules); the tests compare
//! with it. Each type is a small `Copy` value whose equality is Cedar's: `ip("127.0.0.1")` equals
//! `ip("127.0.0.1/32")`, `decimal("1.0")` equals `decimal("1.00")`. Nothing here allocates, save error texts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A decimal number with four digits after the point, kept as ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub i64);

/// A point in time: milliseconds since the Unix epoch, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datetime(pub i64);

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

/// An IP address with its prefix length; a single address has the full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNet {
    addr: IpAddr,
    prefix: u8,
}

/// Why a text is not a value of an extension type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtError {
    expected: &'static str,
}

const DAY_MS: i64 = 86_400_000;

impl fmt::Display for ExtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }
}

impl std::error::Error for ExtError {}

const DECIMAL_EXPECTED: ExtError = ExtError {
    expected: "expected a decimal like `12.34`: digits on both sides of the point, at most four after it, \
               between -922337203685477.5808 and 922337203685477.5807",
};
const IP_EXPECTED: ExtError = ExtError {
    expected: "expected an IPv4 or IPv6 address or range like `127.0.0.1`, `10.0.0.0/8` or `ffee::/64`",
};
const DATETIME_EXPECTED: ExtError = ExtError {
    expected: "expected a datetime like `2026-01-31`, `2026-01-31T12:00:00Z` or `2026-01-31T12:00:00.000+0100`",
};
const DURATION_EXPECTED: ExtError = ExtError {
    expected: "expected a duration like `1d2h3m4s50ms`, optionally with a leading `-`, within 64 bits of milliseconds",
};

// === impl Decimal ===

impl FromStr for Decimal {
    type Err = ExtError;

    fn from_str(text: &str) -> Result<Self, ExtError> {
        let (whole, fraction) = text.split_once('.').ok_or(DECIMAL_EXPECTED)?;
        let negative = whole.starts_with('-');
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        if !all_digits(digits) || !all_digits(fraction) || fraction.len() > 4 {
            return Err(DECIMAL_EXPECTED);
        }
        // The whole part is parsed with its sign, so that the lowest value is reachable.
        let whole: i64 = whole.parse().map_err(|_| DECIMAL_EXPECTED)?;
        let mut fraction_value: i64 = 0;
        for byte in fraction.bytes().chain(std::iter::repeat(b'0')).take(4) {
            fraction_value = fraction_value * 10 + i64::from(byte - b'0');
        }
        let scaled = whole.checked_mul(10_000).ok_or(DECIMAL_EXPECTED)?;
        let value = if negative {
            scaled.checked_sub(fraction_value)
        } else {
            scaled.checked_add(fraction_value)
        };
        value.map(Decimal).ok_or(DECIMAL_EXPECTED)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:04}", abs / 10_000, abs % 10_000)
    }
}

// === impl Datetime ===

impl Datetime {
    /// `self + duration`, or nothing on overflow.
    pub fn offset(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration.0).map(Self)
    }

    /// `self - other`, or nothing on overflow.
    pub fn duration_since(self, other: Self) -> Option<Duration> {
        self.0.checked_sub(other.0).map(Duration)
    }

    /// Midnight of this day, or nothing on overflow.
    pub fn to_date(self) -> Option<Self> {
        self.0.checked_sub(self.0.rem_euclid(DAY_MS)).map(Self)
    }

    /// The time since midnight.
    pub fn to_time(self) -> Duration {
        Duration(self.0.rem_euclid(DAY_MS))
    }
}

impl FromStr for Datetime {
    type Err = ExtError;

    fn from_str(text: &str) -> Result<Self, ExtError> {
        parse_datetime(text.as_bytes()).map(Self).ok_or(DATETIME_EXPECTED)
    }
}

/// Prints `YYYY-MM-DDThh:mm:ss.mmmZ` where the year has four digits, else an offset from the epoch.
impl fmt::Display for Datetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        if !(0..=9999).contains(&year) {
            return write!(f, "1970-01-01{:+}ms", self.0);
        }
        let ms = self.0.rem_euclid(DAY_MS);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
    }
}

fn parse_datetime(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let month = number(&[m1, m2])?;
    let day = number(&[d1, d2])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let date_ms = days_from_civil(year, month, day) * DAY_MS;
    if rest.is_empty() {
        return Some(date_ms);
    }
    let (time, rest) = rest.split_at_checked(9)?;
    let [b'T', h1, h2, b':', n1, n2, b':', s1, s2] = *time else {
        return None;
    };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (ms, rest) = match *rest {
        [b'.', a, b, c, ref rest @ ..] => (number(&[a, b, c])?, rest),
        _ => (0, rest),
    };
    let offset_ms = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hour, minute) = (number(&[h1, h2])?, number(&[m1, m2])?);
            if hour > 23 || minute > 59 {
                return None;
            }
            let offset = (hour * 60 + minute) * 60_000;
            if sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    Some(date_ms + (hour * 3600 + minute * 60 + second) * 1000 + ms - offset_ms)
}

/// Days since 1970-01-01 of a proleptic Gregorian date (the usual era arithmetic with years from March).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// === impl Duration ===

impl Duration {
    /// The span in milliseconds.
    pub fn to_milliseconds(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded towards zero.
    pub fn to_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// Whole minutes, rounded towards zero.
    pub fn to_minutes(self) -> i64 {
        self.0 / 60_000
    }

    /// Whole hours, rounded towards zero.
    pub fn to_hours(self) -> i64 {
        self.0 / 3_600_000
    }

    /// Whole days, rounded towards zero.
    pub fn to_days(self) -> i64 {
        self.0 / DAY_MS
    }
}

impl FromStr for Duration {
    type Err = ExtError;

    fn from_str(text: &str) -> Result<Self, ExtError> {
        parse_duration(text).map(Self).ok_or(DURATION_EXPECTED)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

fn parse_duration(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if rest.is_empty() {
        return None;
    }
    // Each unit at most once, in this order; `ms` is told from `m` by the byte that follows.
    const UNITS: [(&[u8], i64); 5] =
        [(b"d", DAY_MS), (b"h", 3_600_000), (b"m", 60_000), (b"s", 1000), (b"ms", 1)];
    let mut quantities = [0i128; 5];
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number_text, after) = rest.split_at_checked(digits)?;
        if digits == 0 {
            return None;
        }
        // Cedar reads each quantity as a 64-bit unsigned number.
        let quantity: u64 = std::str::from_utf8(number_text).ok()?.parse().ok()?;
        let unit_len = after.iter().take_while(|b| b.is_ascii_lowercase()).count();
        let (unit, after) = after.split_at_checked(unit_len)?;
        let found = UNITS.iter().skip(next_unit).position(|(name, _)| *name == unit)? + next_unit;
        *quantities.get_mut(found)? = i128::from(quantity);
        next_unit = found + 1;
        rest = after;
    }
    // Cedar adds the units up from the smallest, with 64-bit overflow checks at each step.
    let mut total: i64 = 0;
    for ((_, unit_ms), quantity) in UNITS.iter().zip(quantities).rev() {
        let signed = if negative && *unit_ms == 1 { -quantity } else { quantity };
        let quantity = i64::try_from(signed).ok()?;
        let part = quantity.checked_mul(*unit_ms)?;
        total = if negative && *unit_ms != 1 {
            total.checked_sub(part)?
        } else {
            total.checked_add(part)?
        };
    }
    Some(total)
}

// === impl IpNet ===

impl IpNet {
    /// An address with a prefix length; nothing when the prefix is too long for the address.
    pub fn new(addr: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= full_prefix(addr)).then_some(Self { addr, prefix })
    }

    /// The address, host bits included.
    pub fn addr(self) -> IpAddr {
        self.addr
    }

    /// The prefix length in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Cedar's `isIpv4`.
    pub fn is_ipv4(self) -> bool {
        self.addr.is_ipv4()
    }

    /// Cedar's `isIpv6`.
    pub fn is_ipv6(self) -> bool {
        self.addr.is_ipv6()
    }

    /// Cedar's `isLoopback`: the whole range must be loopback.
    pub fn is_loopback(self) -> bool {
        self.addr.is_loopback() && self.prefix >= if self.is_ipv4() { 8 } else { 128 }
    }

    /// Cedar's `isMulticast`: the whole range must be multicast.
    pub fn is_multicast(self) -> bool {
        self.addr.is_multicast() && self.prefix >= if self.is_ipv4() { 4 } else { 8 }
    }

    /// Cedar's `isInRange`: every address of `self` lies in `other`; never across address families.
    pub fn is_in_range(self, other: Self) -> bool {
        match (self.addr, other.addr) {
            (IpAddr::V4(a), IpAddr::V4(b)) => range_within(
                u32::from(a).into(),
                self.prefix,
                u32::from(b).into(),
                other.prefix,
                32,
            ),
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                range_within(u128::from(a), self.prefix, u128::from(b), other.prefix, 128)
            }
            _ => false,
        }
    }
}

impl FromStr for IpNet {
    type Err = ExtError;

    fn from_str(text: &str) -> Result<Self, ExtError> {
        // 43 bytes is the longest IPv6 text with a prefix. IPv4 inside IPv6 notation is refused, as in Cedar.
        if text.len() > 43
            || (text.matches(':').nth(1).is_some() && text.matches('.').nth(1).is_some())
        {
            return Err(IP_EXPECTED);
        }
        let Some((addr, prefix)) = text.split_once('/') else {
            let addr: IpAddr = text.parse().map_err(|_| IP_EXPECTED)?;
            return Ok(Self { addr, prefix: full_prefix(addr) });
        };
        let addr: IpAddr = addr.parse().map_err(|_| IP_EXPECTED)?;
        let canonical = all_digits(prefix) && (prefix == "0" || !prefix.starts_with('0'));
        let prefix: u8 = prefix.parse().map_err(|_| IP_EXPECTED)?;
        if !canonical {
            return Err(IP_EXPECTED);
        }
        Self::new(addr, prefix).ok_or(IP_EXPECTED)
    }
}

/// Prints text that is read back: mapped IPv4 in hexadecimal groups, since Cedar refuses its dotted form.
impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            IpAddr::V6(addr) if addr.to_ipv4_mapped().is_some() => {
                let [.., high, low] = addr.segments();
                write!(f, "::ffff:{high:x}:{low:x}/{}", self.prefix)
            }
            addr => write!(f, "{addr}/{}", self.prefix),
        }
    }
}

fn full_prefix(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn range_within(a: u128, a_prefix: u8, b: u128, b_prefix: u8, bits: u8) -> bool {
    let all = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    let host = |prefix: u8| all.checked_shr(prefix.into()).unwrap_or(0);
    let first = |addr: u128, prefix: u8| addr & !host(prefix);
    let last = |addr: u128, prefix: u8| addr | host(prefix);
    first(b, b_prefix) <= first(a, a_prefix) && last(a, a_prefix) <= last(b, b_prefix)
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(value)
}
