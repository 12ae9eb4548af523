//! A bundle for many virtual machines: one of them fetches it, the others take it from the memory that they share.
//!
//! Who fetches holds a lease there, taken by compare-and-swap and renewed at every tick; when its machine ends, another
//! takes it once it has run out. What was fetched and found good is put there as a parcel, and its number beside it, so
//! that looking for news costs a few bytes. A machine that starts anew takes the last parcel at once.
//! At the very first tick two machines may both find no lease, and both fetch once; from then on it is one.
//! Nothing is believed for being there: whoever takes a parcel loads it as if it came from the network.

use super::settings::FetchSettings;

/// The memory that machines share.
pub(crate) trait Board {
    /// What stands under a key, and the number of that state; nothing at all where nobody wrote.
    fn read(&self, key: &str) -> (Option<Vec<u8>>, Option<u32>);

    /// Writes, if the state is still that of the number; without a number in any case. Whether it was written.
    fn write(&self, key: &str, value: &[u8], state: Option<u32>) -> bool;
}

/// What one machine knows of the bundle.
#[derive(Debug)]
pub(crate) struct Poller {
    /// Whose lease it is.
    me: u64,
    every_ms: u64,
    lease_ms: u64,
    lease_key: String,
    number_key: String,
    parcel_key: String,
    /// The number of the parcel that was looked at last, good or not.
    seen: u64,
    etag: String,
    due_ms: u64,
    is_under_way: bool,
}

/// A bundle on its way between machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    number: u64,
    etag: String,
    /// The bundle's bytes, as they were fetched.
    pub(crate) bundle: Vec<u8>,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It has nothing new.
    Unchanged,
    /// A bundle, or what it takes for one, and its mark.
    Bundle(String, Vec<u8>),
    /// Nothing that could be used: no answer in time, or another status.
    Nothing,
}

/// Longer marks are not kept.
const ETAG_BYTES_MAX: usize = 256;

// === impl Poller ===

impl Poller {
    /// For the machine `me`, which is no other's number.
    pub(crate) fn new(fetch: &FetchSettings, me: u64) -> Self {
        // Two filters with different servers may share memory.
        let key =
            |what: &str| format!("pdp/{what}/{}/{}{}", fetch.cluster, fetch.authority, fetch.path);
        Self {
            me,
            every_ms: fetch.every_ms,
            // An answer that comes in time comes within the lease.
            lease_ms: fetch.timeout_ms + 2_000,
            lease_key: key("lease"),
            number_key: key("number"),
            parcel_key: key("parcel"),
            seen: 0,
            etag: String::new(),
            due_ms: 0,
            is_under_way: false,
        }
    }

    /// A parcel that this machine has not looked at.
    pub(crate) fn news(&mut self, board: &dyn Board) -> Option<Parcel> {
        if number(board.read(&self.number_key).0.as_deref()) == Some(self.seen) {
            return None;
        }
        let parcel = Parcel::read(&board.read(&self.parcel_key).0?)?;
        if parcel.number == self.seen {
            return None;
        }
        self.seen = parcel.number;
        self.etag.clone_from(&parcel.etag);
        Some(parcel)
    }

    /// Whether this machine is to fetch now; asked at every tick.
    pub(crate) fn is_due(&mut self, board: &dyn Board, now_ms: u64) -> bool {
        if !self.leads(board, now_ms) || self.is_under_way || now_ms < self.due_ms {
            return false;
        }
        self.due_ms = now_ms + self.every_ms;
        self.is_under_way = true;
        true
    }

    /// The mark of what this machine has, for a server to say that it is still that.
    pub(crate) fn etag(&self) -> Option<&str> {
        (!self.etag.is_empty()).then_some(self.etag.as_str())
    }

    /// Hears that what was fetched has come to an end.
    pub(crate) fn ended(&mut self) {
        self.is_under_way = false;
    }

    /// Puts up what was fetched and found good, unless another machine leads by now.
    pub(crate) fn publish(
        &mut self,
        board: &dyn Board,
        now_ms: u64,
        etag: &str,
        bundle: &[u8],
    ) -> bool {
        if !self.leads(board, now_ms) {
            return false;
        }
        let last = number(board.read(&self.number_key).0.as_deref()).unwrap_or(0);
        let number = last.max(self.seen) + 1;
        let parcel = Parcel { number, etag: etag.to_owned(), bundle: bundle.to_owned() };
        // The number comes last: it says that the parcel is there.
        if !board.write(&self.parcel_key, &parcel.written(), None)
            || !board.write(&self.number_key, &number.to_le_bytes(), None)
        {
            return false;
        }
        self.seen = number;
        self.etag = parcel.etag;
        true
    }

    /// Keeps the mark of what was fetched and is what there was already.
    pub(crate) fn same(&mut self, etag: &str) {
        etag.clone_into(&mut self.etag);
    }

    /// Takes or renews the lease, if it is to be had.
    fn leads(&self, board: &dyn Board, now_ms: u64) -> bool {
        let (lease, state) = board.read(&self.lease_key);
        let held = lease.as_deref().and_then(|bytes| {
            let (holder, until) = bytes.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*holder), number(Some(until))?))
        });
        if held.is_some_and(|(holder, until_ms)| {
            // A lease from further ahead than any is given was written by another clock.
            holder != self.me && now_ms < until_ms && until_ms <= now_ms + self.lease_ms
        }) {
            return false;
        }
        let mine = [self.me.to_le_bytes(), (now_ms + self.lease_ms).to_le_bytes()].concat();
        board.write(&self.lease_key, &mine, state)
            // Where there was no state there was nothing to compare with.
            && (state.is_some() || board.read(&self.lease_key).0.as_deref() == Some(&*mine))
    }
}

// === impl Parcel ===

impl Parcel {
    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.etag.len() + self.bundle.len());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend((self.etag.len() as u64).to_le_bytes());
        bytes.extend(self.etag.as_bytes());
        bytes.extend(&self.bundle);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (etag, bundle) = rest.split_at_checked(length)?;
        let etag = String::from_utf8(etag.to_vec()).ok()?;
        Some(Self { number: u64::from_le_bytes(*number), etag, bundle: bundle.to_vec() })
    }
}

fn number(bytes: Option<&[u8]>) -> Option<u64> {
    Some(u64::from_le_bytes(bytes?.try_into().ok()?))
}

// === impl Reply ===

impl Reply {
    /// Reads an answer by its status, its mark and its body.
    pub(crate) fn read(status: Option<&[u8]>, etag: Option<Vec<u8>>, body: Vec<u8>) -> Self {
        match status {
            Some(b"304") => Reply::Unchanged,
            Some(b"200") => {
                // What could not be sent back as a header is no mark.
                let etag = etag.and_then(|etag| String::from_utf8(etag).ok());
                let sound = |etag: &String| {
                    etag.len() <= ETAG_BYTES_MAX && etag.bytes().all(|byte| byte.is_ascii_graphic())
                };
                Reply::Bundle(etag.filter(sound).unwrap_or_default(), body)
            }
            _ => Reply::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
