//! Calls of extension functions: arguments from the stack, checked for type, then `ext` does the work.

use crate::eval::{expect, pop};
use crate::ext::{Datetime, Decimal, Duration, IpNet};
use crate::op;
use crate::outcome::ErrorKind;
use crate::program::{
    TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, TAG_IP4, TAG_IP6, TAG_STRING, Tables, Val,
};
use crate::scratch::Scratch;

/// Takes the arguments off the stack and gives the result.
pub(crate) fn function(t: &Tables, s: &mut Scratch, id: u8) -> Result<Val, ErrorKind> {
    match id {
        op::FN_DECIMAL | op::FN_IP | op::FN_DATETIME | op::FN_DURATION => construct(t, s, id),
        op::FN_LESS_THAN
        | op::FN_LESS_THAN_OR_EQUAL
        | op::FN_GREATER_THAN
        | op::FN_GREATER_THAN_OR_EQUAL => {
            let (right, left) = (number(s, TAG_DECIMAL)?, number(s, TAG_DECIMAL)?);
            Ok(Val::bool(match id {
                op::FN_LESS_THAN => left < right,
                op::FN_LESS_THAN_OR_EQUAL => left <= right,
                op::FN_GREATER_THAN => left > right,
                _ => left >= right,
            }))
        }
        op::FN_IS_IPV4 => Ok(Val::bool(ip(t, s)?.is_ipv4())),
        op::FN_IS_IPV6 => Ok(Val::bool(ip(t, s)?.is_ipv6())),
        op::FN_IS_LOOPBACK => Ok(Val::bool(ip(t, s)?.is_loopback())),
        op::FN_IS_MULTICAST => Ok(Val::bool(ip(t, s)?.is_multicast())),
        op::FN_IS_IN_RANGE => {
            let (range, address) = (ip(t, s)?, ip(t, s)?);
            if crate::faults::IP_PREFIX_IGNORED.is_on() {
                return Ok(Val::bool(address.addr() == range.addr()));
            }
            Ok(Val::bool(address.is_in_range(range)))
        }
        op::FN_OFFSET => {
            let (duration, datetime) = (number(s, TAG_DURATION)?, number(s, TAG_DATETIME)?);
            let moved =
                Datetime(datetime).offset(Duration(duration)).ok_or(ErrorKind::Extension)?;
            Ok(Val::number(TAG_DATETIME, moved.0))
        }
        op::FN_DURATION_SINCE => {
            let (from, to) = (number(s, TAG_DATETIME)?, number(s, TAG_DATETIME)?);
            let span = Datetime(to).duration_since(Datetime(from)).ok_or(ErrorKind::Extension)?;
            Ok(Val::number(TAG_DURATION, span.0))
        }
        op::FN_TO_DATE => {
            let date = Datetime(number(s, TAG_DATETIME)?).to_date().ok_or(ErrorKind::Extension)?;
            Ok(Val::number(TAG_DATETIME, date.0))
        }
        op::FN_TO_TIME => {
            Ok(Val::number(TAG_DURATION, Datetime(number(s, TAG_DATETIME)?).to_time().0))
        }
        _ => {
            let duration = Duration(number(s, TAG_DURATION)?);
            Ok(Val::long(match id {
                op::FN_TO_MILLISECONDS => duration.to_milliseconds(),
                op::FN_TO_SECONDS => duration.to_seconds(),
                op::FN_TO_MINUTES => duration.to_minutes(),
                op::FN_TO_HOURS => duration.to_hours(),
                op::FN_TO_DAYS => duration.to_days(),
                _ => return Err(ErrorKind::Limit),
            }))
        }
    }
}

fn construct(t: &Tables, s: &mut Scratch, id: u8) -> Result<Val, ErrorKind> {
    let text = pop(s)?;
    expect(text, TAG_STRING)?;
    let text = std::str::from_utf8(s.symbol_text(t, text.low())).map_err(|_| ErrorKind::Type)?;
    let bad = |_| ErrorKind::Extension;
    match id {
        op::FN_DECIMAL => text.parse().map(|d: Decimal| Val::number(TAG_DECIMAL, d.0)).map_err(bad),
        op::FN_DATETIME => {
            text.parse().map(|d: Datetime| Val::number(TAG_DATETIME, d.0)).map_err(bad)
        }
        op::FN_DURATION => {
            text.parse().map(|d: Duration| Val::number(TAG_DURATION, d.0)).map_err(bad)
        }
        _ => {
            let ip: IpNet = text.parse().map_err(bad)?;
            s.ip(t, ip).map_err(|_| ErrorKind::Limit)
        }
    }
}

fn number(s: &mut Scratch, tag: u32) -> Result<i64, ErrorKind> {
    let val = pop(s)?;
    expect(val, tag)?;
    Ok(val.as_i64())
}

fn ip(t: &Tables, s: &mut Scratch) -> Result<IpNet, ErrorKind> {
    let val = pop(s)?;
    if !matches!(val.tag, TAG_IP4 | TAG_IP6) {
        return Err(ErrorKind::Type);
    }
    s.values(t).ip(val).ok_or(ErrorKind::Type)
}
