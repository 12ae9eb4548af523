//! The decision log of a virtual machine: lines that wait, in bounded memory, and the batch that is under way.
//!
//! A line for which there is no room is dropped and counted, and so are lines of a batch that did not arrive where there
//! is no room to keep them; the next batch that goes out says how many. A batch of which nobody knows whether it arrived
//! goes out again, so a collector may see a line twice, and knows it by its `decision_id`. It sends nothing; `root` does.

use std::collections::VecDeque;

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    batch_bytes_max: usize,
    queue_bytes_max: usize,
    /// Each ends with a line feed; oldest first.
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    under_way: Vec<Vec<u8>>,
    /// Not announced yet.
    dropped: u64,
    /// Announced by the batch that is under way.
    announced: u64,
}

// === impl Log ===

impl Log {
    /// An empty one.
    pub(crate) fn new(batch_bytes_max: usize, queue_bytes_max: usize) -> Self {
        Self {
            batch_bytes_max,
            queue_bytes_max,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            under_way: Vec::new(),
            dropped: 0,
            announced: 0,
        }
    }

    /// Takes a line; how many had to be dropped for want of room.
    pub(crate) fn push(&mut self, line: Vec<u8>) -> u64 {
        if self.waiting_bytes + line.len() > self.queue_bytes_max {
            self.dropped += 1;
            return 1;
        }
        self.waiting_bytes += line.len();
        self.waiting.push_back(line);
        0
    }

    /// The next batch, if there is anything to say and none is under way.
    pub(crate) fn batch(&mut self) -> Option<Vec<u8>> {
        if !self.under_way.is_empty() || self.announced > 0 {
            return None;
        }
        let mut batch = Vec::new();
        if self.dropped > 0 {
            self.announced = std::mem::take(&mut self.dropped);
            batch = format!(
                "{{\"type\":\"dropped\",\"count\":{},\"cause\":\"queue\"}}\n",
                self.announced
            )
            .into_bytes();
        }
        while let Some(line) = self.waiting.front() {
            if !batch.is_empty() && batch.len() + line.len() > self.batch_bytes_max {
                break;
            }
            batch.extend(line);
            if let Some(line) = self.waiting.pop_front() {
                self.waiting_bytes -= line.len();
                self.under_way.push(line);
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Hears whether the batch arrived; how many lines had to be dropped because it did not.
    pub(crate) fn arrived(&mut self, arrived: bool) -> u64 {
        let (lines, announced) =
            (std::mem::take(&mut self.under_way), std::mem::take(&mut self.announced));
        if arrived {
            return 0;
        }
        self.dropped += announced;
        let mut lost = 0;
        // The newest of them go first into the room that there is, each before those that came later.
        for line in lines.into_iter().rev() {
            if lost > 0 || self.waiting_bytes + line.len() > self.queue_bytes_max {
                lost += 1;
                continue;
            }
            self.waiting_bytes += line.len();
            self.waiting.push_front(line);
        }
        self.dropped += lost;
        lost
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test code fails loudly")]

    use super::*;

    fn text(log: &mut Log) -> String {
        String::from_utf8(log.batch().unwrap()).unwrap()
    }

    fn line(text: &str) -> Vec<u8> {
        format!("{text}\n").into_bytes()
    }

    #[test]
    fn batches_are_bounded_and_one_is_under_way() {
        let mut log = Log::new(4, 100);
        assert_eq!(log.batch(), None);
        for one in ["a", "b", "longer", "c"] {
            assert_eq!(log.push(line(one)), 0);
        }
        assert_eq!(text(&mut log), "a\nb\n");
        assert_eq!(log.batch(), None, "one is under way");
        assert_eq!(log.arrived(true), 0);
        assert_eq!(text(&mut log), "longer\n", "a line that is too long is sent by itself");
        log.arrived(true);
        assert_eq!(text(&mut log), "c\n");
        log.arrived(true);
        assert_eq!((log.batch(), log.waiting_bytes), (None, 0));
    }

    #[test]
    fn what_is_dropped_is_announced_until_somebody_heard() {
        let mut log = Log::new(100, 4);
        assert_eq!(["a", "b", "c", "d"].map(|one| log.push(line(one))), [0, 0, 1, 1]);
        let announced = "{\"type\":\"dropped\",\"count\":2,\"cause\":\"queue\"}\na\nb\n";
        assert_eq!(text(&mut log), announced);
        assert_eq!(log.arrived(false), 0);
        assert_eq!(text(&mut log), announced);
        // There is room for one of the two now.
        assert_eq!(log.push(line("e")), 0);
        assert_eq!(log.arrived(false), 1);
        let announced = "{\"type\":\"dropped\",\"count\":3,\"cause\":\"queue\"}\nb\ne\n";
        assert_eq!(text(&mut log), announced);
        log.arrived(true);
        assert_eq!(log.batch(), None);
    }
}
