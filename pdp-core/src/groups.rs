//! *Here is what these paths hold: which policies of a group may speak?*
//!
//! Thousands of policies often share their scope and open with the same tests, `context.tool == "…"`, for other
//! constants. They form a group: a hash table from what the paths must hold to the policies that ask for it, so that a
//! request looks at the policies that its own values name and at no other.
//!
//! Cedar stops at the first conjunct that is false, so a policy whose equality is false is not satisfied and reports
//! nothing, and may be left out. Where a path fails, the policy fails, and all of the group are named; unless a `has`
//! of that path stands before the equality, which is then false. Everything else before an equality can neither fail
//! nor be left out of sight. Whoever is named is evaluated from its first conjunct on, so a table that names too many,
//! as equal hashes of unequal values do, changes nothing.

use crate::outcome::ErrorKind;
use crate::program::{GROUP_READ_HAS, GroupRec, Tables};
use crate::scratch::Scratch;
use crate::{eval, faults, hash, lookup, reads};

/// Adds the policies of a group that may speak. An error: no steps left.
#[inline(never)]
pub(crate) fn collect(
    t: &Tables,
    s: &mut Scratch,
    group: &GroupRec,
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    eval::spend(fuel, 1)?;
    let mut state = hash::VALUES;
    for read in group.reads.of(&t.group_reads) {
        let ix = u16::try_from(read & !GROUP_READ_HAS).unwrap_or(u16::MAX);
        let has_stands_before = read & GROUP_READ_HAS != 0;
        match reads::get(t, s, ix) {
            Ok(val) => state = hash::value(state, val.tag, val.bits),
            Err(ErrorKind::AttributeMissing | ErrorKind::EntityMissing) if has_stands_before => {
                return Ok(());
            }
            Err(_) if faults::GROUP_ERROR_IS_FALSE.is_on() => return Ok(()),
            Err(_) => {
                s.candidates.push(group.policies);
                return Ok(());
            }
        }
    }
    if let Some(run) = lookup::run(t, group.slots, hash::values(state)) {
        s.candidates.push(run);
    }
    Ok(())
}
