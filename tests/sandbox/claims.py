"""Ties a test to the rows of docs/sandbox.md that it proves."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def proves(*claims: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a test with claims; `test_claims` reads them from the source."""
    assert claims

    def same(test: Callable[P, R]) -> Callable[P, R]:
        return test

    return same
