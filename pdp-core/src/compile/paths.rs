//! Which paths do policies read? The most used ones get numbers, so that each is looked up once a request.
//!
//! All policies are looked at before the first is lowered: numbers go by use, and a path is never used more often than
//! the path it stands on, so the paths that get one are closed under their beginnings.

use std::collections::HashMap;

use super::build::Builder;
use crate::ids::{NONE, TooMany};
use crate::program::ReadRec;
use crate::reads::{PATH_MAX, READS_MAX, VARIABLES};
use crate::source::tree::{Exprs, Ix, Node, PolicyTree};

/// The numbers of paths.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// By the path this stands on, then by attribute.
    numbers: Vec<HashMap<String, u16>>,
}

impl Paths {
    /// Numbers the paths of all policies, or, without `share`, the variables alone.
    pub(super) fn plan(
        builder: &mut Builder,
        policies: &[PolicyTree],
        share: bool,
    ) -> Result<Self, TooMany> {
        let mut used: HashMap<Vec<&str>, (usize, usize)> = HashMap::new();
        let mut steps = Vec::new();
        let exprs = policies.iter().filter(|_| share).map(|policy| &policy.condition);
        for exprs in exprs {
            for ix in 0..exprs.len() {
                if let Node::Attr(..) = exprs.node(ix)
                    && let Some(path) = path(exprs, ix, &mut steps)
                {
                    let next = used.len();
                    used.entry(path).or_insert((0, next)).0 += 1;
                }
            }
        }
        let mut used: Vec<(Vec<&str>, (usize, usize))> = used.into_iter().collect();
        used.sort_by_key(|(path, (uses, first))| (std::cmp::Reverse(*uses), path.len(), *first));
        used.truncate(READS_MAX - usize::from(VARIABLES));
        let mut paths = Self { numbers: vec![HashMap::new(); usize::from(VARIABLES)] };
        let variable = ReadRec { of: NONE, attribute: NONE };
        builder.tables.reads = vec![variable; usize::from(VARIABLES)];
        for (path, _) in used {
            let Some((key, of)) = path.split_last() else { continue };
            let Some(of) = paths.number_of(of) else { continue };
            let attribute = builder.symbol(key)?;
            let number = u16::try_from(paths.numbers.len()).map_err(|_| TooMany)?;
            builder.tables.reads.push(ReadRec { of: of.into(), attribute });
            paths.numbers.push(HashMap::new());
            if let Some(below) = paths.numbers.get_mut(usize::from(of)) {
                below.insert((*key).to_owned(), number);
            }
        }
        Ok(paths)
    }

    /// The number of an expression, if it is a variable or a path that has one.
    pub(super) fn read(&self, exprs: &Exprs, ix: Ix) -> Option<u16> {
        if let Node::Var(var) = exprs.node(ix) {
            return Some((*var).into());
        }
        self.number_of(&path(exprs, ix, &mut Vec::new())?)
    }

    /// The number of an attribute of a path.
    pub(super) fn below(&self, of: u16, key: &str) -> Option<u16> {
        self.numbers.get(usize::from(of))?.get(key).copied()
    }

    fn number_of(&self, path: &[&str]) -> Option<u16> {
        let (var, keys) = path.split_first()?;
        let var = NAMES.iter().position(|name| name == var)?;
        let mut at = u16::try_from(var).ok()?;
        for key in keys {
            at = self.below(at, key)?;
        }
        Some(at)
    }
}

/// Stand for the variables at the beginning of a path.
const NAMES: [&str; VARIABLES as usize] = ["principal", "action", "resource", "context"];

/// The variable and the attributes of a path; `None` for any other expression and for long paths.
fn path<'e>(exprs: &'e Exprs, ix: Ix, keys: &mut Vec<&'e str>) -> Option<Vec<&'e str>> {
    keys.clear();
    let mut at = ix;
    loop {
        match exprs.node(at) {
            Node::Attr(of, key) if keys.len() < PATH_MAX => {
                keys.push(key);
                at = *of;
            }
            Node::Var(var) if !keys.is_empty() => {
                keys.push(NAMES.get(usize::from(*var))?);
                return Some(keys.iter().rev().copied().collect());
            }
            _ => return None,
        }
    }
}
