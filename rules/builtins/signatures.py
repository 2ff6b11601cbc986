"""Functions with the types they take, chosen by the values they get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rules.errors import EvaluationError
from rules.types import Value, type_name


class Overload(NamedTuple):
    """One way to call a function. `types` name the parameters; "any" takes everything."""

    types: tuple[str, ...]
    run: Callable[..., Value]

    def accepts(self, names: Sequence[str]) -> bool:
        return len(names) == len(self.types) and all(
            want in ("any", got) for want, got in zip(self.types, names, strict=True)
        )


def choose(
    label: str, overloads: Iterable[Overload], args: Sequence[Value]
) -> Callable[..., Value]:
    """The overload for these arguments, or the evaluation error that names what was expected."""
    names = [type_name(arg) for arg in args]
    for overload in overloads:
        if overload.accepts(names):
            return overload.run
    expected = ", ".join(f"{label}({', '.join(one.types)})" for one in overloads)
    if all(len(one.types) != len(names) for one in overloads):
        raise EvaluationError(
            f"Incorrect number of arguments. Received: {len(names)}. Expected: {expected}."
        )
    raise EvaluationError(
        f"Unsupported operation error. Received: {label}({', '.join(names)}). Expected: {expected}."
    )
