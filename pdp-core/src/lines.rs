//! The lines of a text, found once: counting them anew for each of a hundred thousand places takes minutes.

/// Where the lines of a text end.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn new(text: &str) -> Self {
        Self(
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect(),
        )
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn of(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_line_break_belongs_to_the_line_that_it_ends() {
        let lines = Lines::new("a\n\nb");
        let found: Vec<usize> = (0..5).map(|at| lines.of(at)).collect();
        assert_eq!(found, [1, 1, 2, 3, 3]);
        assert_eq!(Lines::new("").of(0), 1);
    }
}
