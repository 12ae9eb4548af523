//! Families of policies that differ in one constant only, as generated policies do: one per department, one per tool.
//!
//! An index may hash such tests, but a request for which the test fails must still find every member of the family.

use super::expr::{Manners, Writer};
use super::paths::Path;
use super::policy::{self, Scene};
use super::scope::Slots;
use super::types::Ty;
use crate::quote;
use crate::rng::Rng;

/// The family's policies: between two and a dozen.
pub(super) fn write(rng: &mut Rng, scene: Scene<'_>) -> Vec<String> {
    let manners = Manners {
        // The test itself should be reached; whether it then fails is up to the data.
        confusion_per_mille: 0,
        ..policy::manners(rng, scene)
    };
    let mut writer = policy::writer(rng, scene, manners);
    let Some(path) = compared(&mut writer) else {
        return Vec::new();
    };
    let scope = writer.scope(Slots::None);
    let pins = policy::pins(&mut writer, &scope);
    let needs: Vec<String> = if writer.manners.strict || writer.rng.percent(30) {
        path.needs.clone()
    } else {
        Vec::new()
    };
    let rest = match writer.rng.below(4) {
        0 => Some(writer.boolean(1)),
        _ => None,
    };
    let test_first = writer.rng.percent(70);
    let swapped = writer.rng.percent(15);
    let constants = constants(&mut writer, &path);
    constants
        .iter()
        .map(|constant| {
            let other = writer.rng.pick(&constants);
            let test = match writer.rng.below(24) {
                0 => format!("{} != {constant}", path.text),
                1 => format!("[{constant}, {other}].contains({})", path.text),
                2 => format!("({} == {constant} || {other} == {})", path.text, path.text),
                _ if swapped => format!("{constant} == {}", path.text),
                _ => format!("{} == {constant}", path.text),
            };
            let mut conjuncts = pins.clone();
            conjuncts.extend(needs.iter().cloned());
            let at = if test_first {
                conjuncts.len()
            } else {
                conjuncts.len() + usize::from(rest.is_some())
            };
            conjuncts.extend(rest.iter().cloned());
            conjuncts.insert(at.min(conjuncts.len()), test);
            let unless = writer.rng.percent(5);
            let clause = policy::clause(unless, &conjuncts.join(" && "));
            policy::assemble(writer.rng, &scope.text, &[clause])
        })
        .collect()
}

/// The path that is compared: the world's twin field where there is one, else any short path.
fn compared(writer: &mut Writer<'_>) -> Option<Path> {
    let twin_field = writer.values.pools.twins.as_ref().map(|twins| twins.field);
    let paths = writer.paths;
    let named: Vec<&Path> = paths
        .iter()
        .filter(|path| path.ty == Ty::Text)
        .filter(|path| {
            path.last.as_ref().is_some_and(|(_, name)| Some(name.as_str()) == twin_field)
        })
        .collect();
    let any: Vec<&Path> =
        paths.iter().filter(|path| path.last.is_some() && path.ty.is_exact()).collect();
    let from = if named.is_empty() || writer.rng.percent(25) { &any } else { &named };
    writer.rng.pick_maybe(from).map(|path| (*path).clone())
}

/// The family's constants: all different as text, not always as values.
fn constants(writer: &mut Writer<'_>, path: &Path) -> Vec<String> {
    let twins = writer.values.pools.twins.as_ref();
    let mut constants: Vec<String> = match (&path.ty, twins) {
        (Ty::Text, Some(twins)) => twins.texts.iter().map(|text| quote::literal(text)).collect(),
        _ => (0..writer.rng.between(2, 5)).map(|_| writer.constant_for(path)).collect(),
    };
    if !writer.manners.strict && writer.rng.percent(20) {
        // Comparing with a value of another type is false, not a failure.
        constants
            .push((*writer.rng.pick(&["1", "true", "[\"a\"]", "{}", "Role::\"a\""])).to_owned());
    }
    constants.sort_unstable();
    constants.dedup();
    writer.rng.shuffle(&mut constants);
    constants
}
