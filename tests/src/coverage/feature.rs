//! The features that are counted, each with the name it has in the table, and sets of them.

/// Declares [`Feature`] with one name per variant.
macro_rules! features {
    ($($variant:ident = $name:literal,)+) => {
        /// Something that a case reached.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant is documented by its name in the table")]
        pub enum Feature { $($variant,)+ }

        impl Feature {
            /// All features, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in the table.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

features! {
    // What came out.
    Allowed = "outcome: allow",
    DeniedByForbid = "outcome: deny, a forbid is satisfied",
    DeniedSilently = "outcome: deny, nothing is satisfied",
    Refused = "outcome: refused by validation",
    SeveralReasons = "outcome: several determining policies",
    SomeErrors = "outcome: some policy errors",
    AllowedDespiteErrors = "outcome: allow beside errors",
    ForbiddenBesideErrors = "outcome: forbidden beside errors",
    ErringForbid = "outcome: a forbid errors",
    NoCandidate = "outcome: no policy's scope matches",

    EntityMissing = "error: entity missing",
    AttributeMissing = "error: attribute missing",
    TagMissing = "error: tag missing",
    FieldMissing = "error: record field missing",
    TypeError = "error: type",
    ArityError = "error: arity of an extension call",
    Overflow = "error: overflow",
    ExtensionError = "error: extension function",
    ProvenEntityMissing = "error: entity missing, in a case that validated",
    ProvenOverflow = "error: overflow, in a case that validated",
    ProvenExtensionError = "error: extension function, in a case that validated",

    // What the world is like.
    WithSchema = "world: schema",
    WithoutSchema = "world: no schema",
    Validated = "world: schema, request validated",
    Unvalidated = "world: schema, request not validated",
    StrictlyValid = "world: policies pass the strict validator",
    StrictlyInvalid = "world: policies fail the strict validator",
    SharedNamespaces = "world: several namespaces",
    EnumeratedType = "world: enumerated entity type",
    DeclaredTags = "world: tags in the schema",
    DeclaredActionGroup = "world: action group in the schema",
    Inline = "world: inline entities",
    InlineValidated = "world: inline entities, validated",
    InlineAsVariable = "world: principal or resource comes inline",
    PrincipalAbsent = "world: principal not stored",
    ResourceAbsent = "world: resource not stored",
    ActionAbsent = "world: action not stored",
    DeepHierarchy = "world: principal or resource with five ancestors or more",
    SeveralParents = "world: principal or resource with several parents",
    ContextUnseen = "world: context holds a freshly drawn string",
    ManyPolicies = "world: more than 12 policies",
    TwinPolicies = "world: policies that differ in one constant",

    // The candidates' scopes.
    PrincipalAny = "scope: principal",
    PrincipalEqual = "scope: principal ==",
    PrincipalIn = "scope: principal in",
    PrincipalIs = "scope: principal is",
    PrincipalIsIn = "scope: principal is in",
    ActionAny = "scope: action",
    ActionEqual = "scope: action ==",
    ActionIn = "scope: action in",
    ActionInSet = "scope: action in [..]",
    ResourceAny = "scope: resource",
    ResourceEqual = "scope: resource ==",
    ResourceIn = "scope: resource in",
    ResourceIs = "scope: resource is",
    ResourceIsIn = "scope: resource is in",
    SlotPrincipalEqual = "scope: principal == ?principal",
    SlotPrincipalIn = "scope: principal in ?principal",
    SlotPrincipalIsIn = "scope: principal is in ?principal",
    SlotResourceEqual = "scope: resource == ?resource",
    SlotResourceIn = "scope: resource in ?resource",
    SlotResourceIsIn = "scope: resource is in ?resource",

    // The candidates' clauses.
    Permit = "policy: permit",
    Forbid = "policy: forbid",
    Linked = "policy: linked template",
    Annotated = "policy: annotations",
    NoClause = "policy: no clause",
    When = "policy: when",
    Unless = "policy: unless",
    SeveralClauses = "policy: several clauses",
    DeepExpression = "policy: nested more than 20 deep",

    LiftPrincipalEqual = "head: principal == literal",
    LiftPrincipalIn = "head: principal in literal",
    LiftPrincipalInSet = "head: principal in [literals]",
    LiftPrincipalIs = "head: principal is",
    LiftPrincipalIsIn = "head: principal is in literal",
    LiftActionEqual = "head: action == literal",
    LiftActionIn = "head: action in literal",
    LiftActionInSet = "head: action in [literals]",
    LiftResourceEqual = "head: resource == literal",
    LiftResourceIn = "head: resource in literal",
    LiftResourceInSet = "head: resource in [literals]",
    LiftResourceIs = "head: resource is",
    LiftResourceIsIn = "head: resource is in literal",
    LiftReversed = "head: literal == variable",
    LiftAfterRisk = "head: liftable after an operand that may fail",
    LiftUnlessFirst = "head: liftable in a leading unless",
    LiftLaterClause = "head: liftable in a later clause",
    HeadDisjunction = "head: disjunction of liftable tests",
    HeadDisjunctionMixed = "head: disjunction of a liftable test and another",
    HeadInEvaluated = "head: variable in something evaluated",
    HeadInMixedSet = "head: variable in a set with evaluated elements",

    Equal = "op: ==",
    NotEqual = "op: !=",
    EqualConstant = "op: attribute == constant",
    EqualTwoAttributes = "op: attribute == attribute",
    EqualExtension = "op: attribute == extension constant",
    Less = "op: <",
    LessEqual = "op: <=",
    Greater = "op: >",
    GreaterEqual = "op: >=",
    OrderOfExtensions = "op: order of datetimes or durations",
    Add = "op: +",
    Subtract = "op: -",
    Multiply = "op: *",
    Negate = "op: unary -",
    Not = "op: !",
    And = "op: &&",
    Or = "op: ||",
    If = "op: if",
    In = "op: in",
    InSet = "op: in [..]",
    Has = "op: has",
    HasChain = "op: has a.b.c",
    HasQuoted = "op: has \"no identifier\"",
    LikePlain = "op: like without wildcard",
    LikeWildcard = "op: like with wildcard",
    LikeEscaped = "op: like with an escaped star",
    Is = "op: is",
    IsIn = "op: is in",
    Contains = "op: contains",
    ContainsAll = "op: containsAll",
    ContainsAny = "op: containsAny",
    IsEmpty = "op: isEmpty",
    GetTag = "op: getTag",
    GetTagEvaluated = "op: getTag with an evaluated key",
    HasTag = "op: hasTag",
    SetLiteral = "op: set",
    EmptySet = "op: empty set",
    SetOfSets = "op: set in a set",
    RecordInSet = "op: record in a set",
    DuplicateInSet = "op: duplicate in a set",
    RecordLiteral = "op: record",
    Attribute = "op: attribute",
    NestedAttribute = "op: attribute of an attribute",
    QuotedAttribute = "op: attribute that is no identifier",
    AttributeOfEntityLiteral = "op: attribute of an entity literal",
    Ip = "ext: ip",
    Decimal = "ext: decimal",
    Datetime = "ext: datetime",
    Duration = "ext: duration",
    EvaluatedConstructor = "ext: constructor of an evaluated string",
    WrongArity = "ext: too few or too many arguments",
    IsIpv4 = "ext: isIpv4",
    IsIpv6 = "ext: isIpv6",
    IsLoopback = "ext: isLoopback",
    IsMulticast = "ext: isMulticast",
    IsInRange = "ext: isInRange",
    LessThan = "ext: lessThan",
    LessThanOrEqual = "ext: lessThanOrEqual",
    GreaterThan = "ext: greaterThan",
    GreaterThanOrEqual = "ext: greaterThanOrEqual",
    Offset = "ext: offset",
    DurationSince = "ext: durationSince",
    ToDate = "ext: toDate",
    ToTime = "ext: toTime",
    ToMilliseconds = "ext: toMilliseconds",
    ToSeconds = "ext: toSeconds",
    ToMinutes = "ext: toMinutes",
    ToHours = "ext: toHours",
    ToDays = "ext: toDays",
    IntegerLimit = "constant: smallest or greatest integer",
    EmptyString = "constant: empty string",
    NonAscii = "constant: string beyond ASCII",
    ControlCharacter = "constant: control character",
}

/// A set of features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FeatureSet {
    words: [u64; 3],
}

// === impl FeatureSet ===

impl FeatureSet {
    pub(super) fn insert(&mut self, feature: Feature) {
        let at = feature as usize;
        if let Some(word) = self.words.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(super) fn insert_if(&mut self, condition: bool, feature: Feature) {
        if condition {
            self.insert(feature);
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (word, other) in self.words.iter_mut().zip(other.words) {
            *word |= other;
        }
    }

    pub(super) fn contains(&self, feature: Feature) -> bool {
        let at = feature as usize;
        self.words.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Feature, FeatureSet};
    use std::collections::BTreeSet;

    #[test]
    fn a_set_holds_what_was_put_in_for_every_feature() {
        for feature in Feature::ALL {
            let mut set = FeatureSet::default();
            assert!(!set.contains(*feature));
            set.insert(*feature);
            let held: Vec<_> = Feature::ALL.iter().filter(|other| set.contains(**other)).collect();
            assert_eq!(held, [feature], "there are more features than bits");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = Feature::ALL.iter().map(|feature| feature.name()).collect();
        assert_eq!(names.len(), Feature::ALL.len());
    }
}
