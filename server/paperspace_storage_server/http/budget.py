"""How long one tool call may take, everything included: requests, repeats, waiting, asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Budget:
    """`seconds` from `started` on, by a monotonic clock."""

    seconds: float
    started: float
    clock: Clock = time.monotonic

    @classmethod
    def of(cls, seconds: float, clock: Clock = time.monotonic) -> Budget:
        return cls(seconds, clock(), clock)

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.seconds - self.spent())

    def spent(self) -> float:
        return self.clock() - self.started
