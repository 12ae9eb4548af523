//! The wire format of protobuf, borrowed: the fields of a message, one after the other, where they stand in the bytes.
//!
//! It knows no message. What it refuses is what the protobuf decoder of `prost` refuses, to the last bit, and unknown
//! fields are passed over like there; a test compares the two.

use std::fmt;

/// Messages and groups may stand this deep in each other below the outermost one, as in every protobuf library.
const NESTING_MAX: u32 = 100;

/// The fields of one message that were not read yet.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    nesting_left: u32,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// A number of the integer kinds.
    Varint(u64),
    /// A string or a message.
    Bytes(&'a [u8]),
    /// A number of 64 bits, which in Envoy's messages is floating point.
    Fixed64(u64),
    /// A group or a number of 32 bits: no field of ours is one.
    Other,
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A number is cut off or too long.
    Varint,
    /// A field has no possible number.
    Key,
    /// A field is of another wire type than declared.
    WireType,
    /// A field is longer than what is there.
    Underflow,
    /// A group ends that was not begun.
    Group,
    /// A string is not UTF-8.
    Utf8,
    /// Messages are nested too deep.
    Nesting,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Those of an outermost message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message, nesting_left: NESTING_MAX }
    }

    /// Those of a message inside this one.
    ///
    /// # Errors
    ///
    /// When it is no message, or one that is nested too deep.
    #[inline(always)]
    pub fn inside<'b>(&self, payload: Payload<'b>) -> Result<Fields<'b>, Damage> {
        let nesting_left = self.nesting_left.checked_sub(1).ok_or(Damage::Nesting)?;
        Ok(Fields { rest: payload.bytes()?, nesting_left })
    }

    /// The next field: its number and what it holds.
    ///
    /// # Errors
    ///
    /// When the bytes are no field.
    // PERF: inlined, as is what it calls, because a result that is handed over in memory is written in pieces and read
    // as a whole, for which processors wait; a request of W1 takes twice as long without.
    #[inline(always)]
    pub fn field(&mut self) -> Result<Option<(u32, Payload<'a>)>, Damage> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let payload = match wire_type {
            0 => Payload::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Damage::Underflow)?;
                Payload::Bytes(self.take(length)?)
            }
            wire_type => self.other(number, wire_type, self.nesting_left)?,
        };
        Ok(Some((number, payload)))
    }

    /// Passes over a field that no message of ours has.
    ///
    /// # Errors
    ///
    /// When it could be nested too deep.
    pub fn unknown(&self) -> Result<(), Damage> {
        // The decoder that this one agrees with counts it as a level.
        if self.nesting_left == 0 { Err(Damage::Nesting) } else { Ok(()) }
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(u32, u32), Damage> {
        let key = u32::try_from(self.varint()?).map_err(|_| Damage::Key)?;
        if key >> 3 == 0 { Err(Damage::Key) } else { Ok((key >> 3, key & 7)) }
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Damage> {
        match self.rest.split_first() {
            Some((byte, rest)) if *byte < 0x80 => {
                self.rest = rest;
                Ok((*byte).into())
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7F) << (at * 7);
            if *byte < 0x80 {
                // The tenth byte has room for one bit.
                if at == 9 && *byte > 1 {
                    break;
                }
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Damage::Varint)
    }

    #[inline(always)]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Damage::Underflow)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes over what hardly a field of ours holds; `nesting_left` bounds the recursion.
    #[cold]
    fn other(
        &mut self,
        number: u32,
        wire_type: u32,
        nesting_left: u32,
    ) -> Result<Payload<'a>, Damage> {
        let nesting_left = nesting_left.checked_sub(1).ok_or(Damage::Nesting)?;
        match wire_type {
            0 => {
                self.varint()?;
            }
            1 => {
                let (bytes, rest) = self.rest.split_first_chunk().ok_or(Damage::Underflow)?;
                self.rest = rest;
                return Ok(Payload::Fixed64(u64::from_le_bytes(*bytes)));
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Damage::Underflow)?;
                self.take(length)?;
            }
            3 => loop {
                let (inner, wire_type) = self.key()?;
                if wire_type == 4 {
                    if inner == number { break } else { return Err(Damage::Group) }
                }
                self.other(inner, wire_type, nesting_left)?;
            },
            4 => return Err(Damage::Group),
            5 => {
                self.take(4)?;
            }
            _ => return Err(Damage::WireType),
        }
        Ok(Payload::Other)
    }
}

// === impl Payload ===

impl<'a> Payload<'a> {
    /// An integer or a Boolean.
    ///
    /// # Errors
    ///
    /// When it is of another wire type.
    #[inline(always)]
    pub fn varint(self) -> Result<u64, Damage> {
        match self {
            Payload::Varint(value) => Ok(value),
            _ => Err(Damage::WireType),
        }
    }

    /// A `sint64`.
    ///
    /// # Errors
    ///
    /// When it is of another wire type.
    #[inline(always)]
    pub fn signed(self) -> Result<i64, Damage> {
        let value = self.varint()?;
        // Zigzag: the lowest bit is the sign.
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A `double`.
    ///
    /// # Errors
    ///
    /// When it is of another wire type.
    pub fn double(self) -> Result<f64, Damage> {
        match self {
            Payload::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Damage::WireType),
        }
    }

    /// A string or a message, as it stands.
    ///
    /// # Errors
    ///
    /// When it is of another wire type.
    #[inline(always)]
    pub fn bytes(self) -> Result<&'a [u8], Damage> {
        match self {
            Payload::Bytes(bytes) => Ok(bytes),
            _ => Err(Damage::WireType),
        }
    }

    /// A string.
    ///
    /// # Errors
    ///
    /// When it is of another wire type or not UTF-8.
    #[inline(always)]
    pub fn text(self) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damage::Utf8)
    }
}

// === impl Damage ===

impl std::error::Error for Damage {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Varint => "a number is cut off or has more than 64 bits",
            Damage::Key => "a field has no possible number",
            Damage::WireType => "a field is of another wire type than declared",
            Damage::Underflow => "a field is longer than what is there",
            Damage::Group => "a group ends that was not begun",
            Damage::Utf8 => "a string is not UTF-8",
            Damage::Nesting => "messages are nested too deep",
        })
    }
}
