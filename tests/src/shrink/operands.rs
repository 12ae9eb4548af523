//! A policy's text with one operand of `&&` or `||` less.
//!
//! Works on the text alone, and blindly: what comes out need not parse, and then it is simply no smaller world that fails.

use std::ops::Range;

/// An open bracket: where its content begins, and the operators seen in it so far.
#[derive(Debug, Default)]
struct Group {
    start: usize,
    operators: Vec<Range<usize>>,
}

/// `policy` with an operand taken away, once for each operand of each `&&` and `||`; outermost operands first.
pub(super) fn without_one(policy: &str) -> Vec<String> {
    let mut removals = removals(policy);
    removals.sort_by_key(|range| std::cmp::Reverse(range.len()));
    removals
        .into_iter()
        .filter_map(|range| {
            let (before, after) = (policy.get(..range.start)?, policy.get(range.end..)?);
            Some(format!("{before}{after}"))
        })
        .collect()
}

/// The stretches of text that are an operand with its operator.
fn removals(policy: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Vec<Group> = Vec::new();
    let mut chars = policy.char_indices();
    let mut in_string = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => in_string = !in_string,
            _ if in_string => {}
            '(' | '[' | '{' => open.push(Group { start: at + 1, operators: Vec::new() }),
            ')' | ']' | '}' => {
                if let Some(group) = open.pop() {
                    found.extend(group.removals(at));
                }
            }
            ' ' => {
                let operator =
                    policy.get(at..at + 4).filter(|text| [" && ", " || "].contains(text));
                if let (Some(operator), Some(group)) = (operator, open.last_mut()) {
                    group.operators.push(at..at + operator.len());
                }
            }
            _ => {}
        }
    }
    found
}

// === impl Group ===

impl Group {
    /// The first operand with the operator after it, and each further one with the operator before it.
    fn removals(self, end: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let ends = self.operators.iter().skip(1).map(|next| next.start).chain([end]);
        if let Some(first) = self.operators.first() {
            found.push(self.start..first.end);
        }
        for (operator, end) in self.operators.iter().zip(ends) {
            found.push(operator.start..end);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::without_one;

    #[test]
    fn each_operand_goes_once() {
        let policy = "permit(principal, action, resource) when { a && (b || \"x && y\") };";
        let mut found = without_one(policy);
        found.sort();
        assert_eq!(
            found,
            [
                "permit(principal, action, resource) when { a && (\"x && y\") };",
                "permit(principal, action, resource) when { a && (b) };",
                "permit(principal, action, resource) when { a};",
                "permit(principal, action, resource) when {(b || \"x && y\") };",
            ]
        );
    }

    #[test]
    fn a_policy_without_operators_has_nothing_to_lose() {
        assert!(without_one("permit(principal, action, resource);").is_empty());
    }
}
