//! What people see of an answer, word for word.

use std::cell::RefCell;
use std::rc::Rc;

use pdp_core::{BundleName, Diagnostic, ErrorKind, LegRole, OwnedLeg, Reason};

use super::*;

/// Keeps what a command wrote and flushed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    flushed: Rc<RefCell<Vec<u8>>>,
    pending: Rc<RefCell<Vec<u8>>>,
}

impl Captured {
    /// An output that writes here.
    pub(crate) fn out(&self, json: bool) -> Out {
        Out::to(Box::new(self.clone()), json)
    }

    /// What a reader has seen.
    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.flushed.borrow()).lines().map(str::to_owned).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed.borrow_mut().append(&mut self.pending.borrow_mut());
        Ok(())
    }
}

fn leg(role: LegRole, effect: Effect, reason: Reason, policies: &[&str]) -> OwnedLeg {
    let policies = policies.iter().map(|id| (*id).to_owned()).collect();
    OwnedLeg { role, effect, reason, policies, errors: vec![] }
}

fn delegated_deny() -> OwnedAnswer {
    OwnedAnswer {
        effect: Effect::Deny,
        reason: Reason::DelegatorNotPermitted,
        policies: vec![],
        errors: vec![("G2".to_owned(), ErrorKind::EntityMissing)],
        legs: vec![
            leg(LegRole::Principal, Effect::Allow, Reason::Permitted, &["P1", "P2"]),
            leg(LegRole::Subject, Effect::Deny, Reason::NotPermitted, &[]),
        ],
        failed_leg: Some(LegRole::Subject),
        obligations: vec![("P1".to_owned(), "obligation".to_owned(), "log".to_owned())],
        message: String::new(),
        bundle: Some(BundleName {
            name: "agent-tools".to_owned(),
            revision: 3,
            digest: "0123456789abcdef".to_owned(),
        }),
    }
}

#[test]
fn an_answer_is_aligned() {
    let expected = "\
deny  delegator_not_permitted
  errors       G2 (entity_missing)
  failed leg   subject
  legs         principal  allow  permitted      P1, P2
               subject    deny   not_permitted
  obligations  P1: obligation = log
  bundle       agent-tools revision 3 (0123456789ab)
";
    assert_eq!(answer(&delegated_deny(), Paint::PLAIN), expected);
}

#[test]
fn no_bundle_is_named() {
    let mut deny = delegated_deny();
    deny.legs.clear();
    deny.errors.clear();
    deny.obligations.clear();
    deny.failed_leg = None;
    deny.reason = Reason::NoBundle;
    deny.bundle = None;
    assert_eq!(answer(&deny, Paint::PLAIN), "deny  no_bundle\n  bundle  none\n");
}

#[test]
fn colours_do_not_move_columns() {
    let coloured = answer(&delegated_deny(), Paint { colours: true });
    assert!(coloured.contains("\x1b[1;31mdeny\x1b[0m"));
    let mut bare = coloured;
    for code in ["\x1b[1;31m", "\x1b[1;32m", "\x1b[2m", "\x1b[0m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, answer(&delegated_deny(), Paint::PLAIN));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let colours = |is_terminal, term: Option<&str>, no_color: Option<&str>| {
        Paint::choose(is_terminal, term.map(OsStr::new), no_color.map(OsStr::new)).colours
    };
    assert!(colours(true, Some("xterm"), None));
    assert!(colours(true, None, Some("")), "an empty NO_COLOR counts as not set");
    assert!(!colours(true, Some("xterm"), Some("1")));
    assert!(!colours(true, Some("dumb"), None));
    assert!(!colours(false, Some("xterm"), None));
}

#[test]
fn one_leg_is_not_repeated() {
    let mut deny = delegated_deny();
    deny.legs.truncate(1);
    let text = answer(&deny, Paint::PLAIN);
    assert!(!text.contains("failed leg") && !text.contains("  legs"), "{text}");
}

#[test]
fn ids_cannot_steer_a_terminal() {
    assert_eq!(shown("a\x1b[2Jb\nc\0"), "a\\u{1b}[2Jb\\nc\\0");
    assert_eq!(shown("Zoë \"x\""), "Zoë \"x\"");
}

#[test]
fn findings_are_counted() {
    let finding = |severity| Diagnostic {
        code: "E104",
        severity,
        message: "no such type".to_owned(),
        file: Some("a.cedar".to_owned()),
        line: 1,
        column: 2,
        help: None,
        excerpt: None,
    };
    let findings = Report {
        items: vec![finding(Severity::Error), finding(Severity::Warning), finding(Severity::Error)],
    };
    assert_eq!(report_count(&findings), "2 errors, 1 warning");
    assert!(report(&findings).ends_with("\n2 errors, 1 warning"));
    assert_eq!(report_count(&Report::default()), "0 errors, 0 warnings");
}
