"""Methods of the types and functions of the namespaces (protocol section 2)."""

from rules.builtins.methods import METHODS, call_method
from rules.builtins.namespaces import FREE_FUNCTIONS, NAMESPACE_FUNCTIONS, call_function
from rules.builtins.operators import (
    add,
    compare,
    contained,
    divide,
    index,
    member,
    modulo,
    multiply,
    negate,
    slice_of,
    subtract,
)

__all__ = [
    "FREE_FUNCTIONS",
    "METHODS",
    "NAMESPACE_FUNCTIONS",
    "add",
    "call_function",
    "call_method",
    "compare",
    "contained",
    "divide",
    "index",
    "member",
    "modulo",
    "multiply",
    "negate",
    "slice_of",
    "subtract",
]
