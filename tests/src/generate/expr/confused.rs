//! What must not be written: operands of another type, names that name nothing, calls with too few or too many arguments.
//!
//! Cedar's parser lets all of this through; an engine has to fail on it in the same policies as Cedar, and only when it is
//! evaluated at all.

use super::Writer;
use crate::generate::types::Ty;
use crate::generate::vocabulary::{UNDECLARED_NAMES, refused_constants};
use crate::quote;
use crate::value::ExtKind;

// === impl Writer ===

impl Writer<'_> {
    /// Stands where a Boolean is wanted.
    pub(in crate::generate) fn confused_boolean(&mut self, depth: u32) -> String {
        let ty = self.any_type();
        match self.rng.below(14) {
            // Something that is no Boolean at all.
            0 | 1 => self.term(&ty, 0),
            2 => format!("!{}", self.term(&ty, 0)),
            3 => format!("{} in {}", self.term(&ty, 0), self.someone(0).0),
            4 => {
                let (left, ty, uid) = self.someone(0);
                let group = self.group_of(ty, uid.as_ref()).cedar();
                let wrong = self.rng.choose(&["\"x\"", "1", "[1]", "[]", "{}"]);
                match self.rng.below(3) {
                    0 => format!("{left} in [{group}, {wrong}]"),
                    1 => format!("{left} in [{wrong}, {group}]"),
                    _ => format!("{left} in {wrong}"),
                }
            }
            5 => {
                let name = self.rng.choose(UNDECLARED_NAMES);
                format!("{} has {}", self.term(&ty, 0), quote::key(name))
            }
            6 => format!("{} like \"*a*\"", self.term(&ty, 0)),
            7 => format!("{} is {}", self.term(&ty, 0), self.unknown_type()),
            8 => format!("{}.contains({})", self.term(&ty, 0), self.term(&ty, 0)),
            9 => format!(
                "{}.containsAny({})",
                self.term(&ty, 0),
                self.term(&Ty::set_of(Ty::Long), 0)
            ),
            10 => format!("{}.hasTag({})", self.term(&ty, 0), self.term(&Ty::Text, 0)),
            11 => self.wrong_arity_test(),
            12 => {
                let operator = self.rng.choose(&["<", ">="]);
                format!("{} {operator} {}", self.term(&ty, 0), self.term(&Ty::Long, 0))
            }
            _ => {
                let other = self.any_type();
                format!("{} == {}", self.term(&ty, depth), self.term(&other, depth))
            }
        }
    }

    /// Stands where a value of type `ty` is wanted.
    pub(in crate::generate) fn confused_term(&mut self, ty: &Ty, depth: u32) -> String {
        match self.rng.below(12) {
            0..3 => {
                let other = self.any_type();
                self.term(&other, depth)
            }
            3 | 4 => self.undeclared(),
            5 | 6 => self.run_time_constructor(ty),
            7 => {
                let kind = extension_of(self, ty);
                let refused = self.rng.choose(refused_constants(kind));
                format!("{}({})", kind.constructor(), quote::literal(refused))
            }
            8 => self.wrong_arity(ty),
            9 => {
                let ix = self.entity_type();
                let absent = self.values.cast.absent(ix).first();
                match absent {
                    Some(absent) => format!("{}.name", absent.cedar()),
                    None => self.undeclared(),
                }
            }
            10 => {
                let ix = self.entity_type();
                format!("{}.getTag({})", self.term(&Ty::Entity(ix), 0), self.term(&Ty::Text, 0))
            }
            _ => (*self.rng.pick(&["[]", "{}", "[1, \"1\", true]", "[[], [1]]", "{a: {}}"]))
                .to_owned(),
        }
    }

    /// An attribute nobody has, of something that may be no record.
    fn undeclared(&mut self) -> String {
        let name = self.rng.choose(UNDECLARED_NAMES);
        let of = match self.rng.below(5) {
            0 => "principal".to_owned(),
            1 => "resource".to_owned(),
            2 => "context".to_owned(),
            3 => return "action.risk".to_owned(),
            _ => {
                let ty = self.any_type();
                self.term(&ty, 0)
            }
        };
        quote::access(&of, name)
    }

    /// An extension constructor over a string that is only known when a request comes.
    fn run_time_constructor(&mut self, ty: &Ty) -> String {
        let kind = extension_of(self, ty);
        let argument = self.path(|found| *found == Ty::Text).unwrap_or_else(|| "1".to_owned());
        format!("{}({argument})", kind.constructor())
    }

    fn wrong_arity(&mut self, ty: &Ty) -> String {
        let kind = extension_of(self, ty);
        let name = kind.constructor();
        let good = self.values.pools.constant(self.rng, kind);
        match self.rng.below(4) {
            0 => format!("{name}()"),
            1 => format!("{name}(\"{good}\", \"{good}\")"),
            2 => format!("{name}(\"{good}\").toDate({name}(\"{good}\"))"),
            _ => format!("{name}(\"{good}\").offset()"),
        }
    }

    fn wrong_arity_test(&mut self) -> String {
        let kind = self.rng.choose(&ExtKind::ALL);
        let name = kind.constructor();
        let good = self.values.pools.constant(self.rng, kind);
        let call = self.rng.choose(&[
            "isIpv4(1)",
            "isInRange()",
            "isInRange(ip(\"::1\"), ip(\"::/0\"))",
            "lessThan()",
            "greaterThan(decimal(\"1.0\"), 1)",
            "isLoopback(\"\")",
            "toDays(0)",
        ]);
        format!("{name}(\"{good}\").{call}")
    }

    fn unknown_type(&mut self) -> &'static str {
        self.rng.choose(&["Nobody", "App::Nobody", "User", "Action"])
    }

    fn any_type(&mut self) -> Ty {
        match self.rng.below(9) {
            0 => Ty::Bool,
            1 => Ty::Long,
            2 => Ty::Text,
            3 => Ty::Entity(self.entity_type()),
            4 => Ty::Ext(self.rng.choose(&ExtKind::ALL)),
            5 => Ty::set_of(Ty::Text),
            6 => Ty::Record(Vec::new()),
            _ => {
                let paths = self.paths;
                self.rng.pick_maybe(paths).map_or(Ty::Long, |path| path.ty.clone())
            }
        }
    }
}

/// The extension type that `ty` is, or one at random.
fn extension_of(writer: &mut Writer<'_>, ty: &Ty) -> ExtKind {
    match ty {
        Ty::Ext(kind) => *kind,
        _ => writer.rng.choose(&ExtKind::ALL),
    }
}
