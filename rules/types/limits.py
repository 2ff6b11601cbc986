"""Bounds on values that rules build, so that no rule text can take unbounded memory or time.

Expressions are counted, but one expression may double what it is given; values that share parts may be
small to hold and endless to walk through. A document of the largest size stays within these bounds.
"""

from __future__ import annotations

from typing import Final

from rules.errors import EvaluationError

MAX_TEXT: Final = 1 << 21
"""Characters of a string, or bytes."""
MAX_ITEMS: Final = 1 << 20
"""Elements of a list."""
MAX_SEGMENTS: Final = 1000
"""Segments of a path."""
MAX_STEPS: Final = 100_000
"""Values walked through by one comparison."""


def check_text(size: int) -> None:
    """Called before the text is built, where its size is known."""
    if size > MAX_TEXT:
        raise EvaluationError("The string is too long.")


def check_items(size: int) -> None:
    if size > MAX_ITEMS:
        raise EvaluationError("The list is too long.")


class Steps:
    """Counts the values that one comparison walks through."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise EvaluationError("The compared values are too large.")
