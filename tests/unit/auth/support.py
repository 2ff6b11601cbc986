"""Names that the tests of the room share."""

from __future__ import annotations

from dataclasses import dataclass

from baas.auth.options import HashOptions, Scope

CHEAP = HashOptions(time_cost=1, memory_kib=64)
SCOPE = Scope("demo")


@dataclass
class Clock:
    """Time, as the test says."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
