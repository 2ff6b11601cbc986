"""Security rules: both languages, evaluation, proofs of queries, coverage and test suites. No I/O.

ruleset = compile_rules(text)
decision = ruleset.evaluate(Request(...), lookups)      # one document
decision = ruleset.prove(ListRequest(...), lookups)     # a query
"""

from rules.coverage import Coverage
from rules.decision import Decision, Reason
from rules.errors import (
    EvaluationError,
    EvaluationLimitError,
    Issue,
    LookupNeeded,
    RulesCompileError,
    RulesError,
)
from rules.loading import compile_rules, detect_language
from rules.lookups import LookupBudget
from rules.request import (
    FIRESTORE,
    STORAGE,
    And,
    Auth,
    FieldFilter,
    Filter,
    ListRequest,
    Lookups,
    Method,
    NoLookups,
    Or,
    Request,
    Resource,
)
from rules.ruleset import Ruleset
from rules.types import Duration, LatLng, LazyMap, MapDiff, Path, Set, Timestamp, Value

__all__ = [
    "FIRESTORE",
    "STORAGE",
    "And",
    "Auth",
    "Coverage",
    "Decision",
    "Duration",
    "EvaluationError",
    "EvaluationLimitError",
    "FieldFilter",
    "Filter",
    "Issue",
    "LatLng",
    "LazyMap",
    "ListRequest",
    "LookupBudget",
    "LookupNeeded",
    "Lookups",
    "MapDiff",
    "Method",
    "NoLookups",
    "Or",
    "Path",
    "Reason",
    "Request",
    "Resource",
    "RulesCompileError",
    "RulesError",
    "Ruleset",
    "Set",
    "Timestamp",
    "Value",
    "compile_rules",
    "detect_language",
]
