"""The port: small values under keys that expire, and draws from a budget. It must not know what they are for.

Every operation is atomic over all processes that share the store. Whoever cannot have an answer gets
`StoreUnavailable`, and then must not write: a budget that nobody counts is no budget.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Get:
    """A step of `together`, as the method of that name; so are those below."""

    key: str


@dataclass(frozen=True, slots=True)
class Add:
    key: str
    value: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Swap:
    key: str
    old: str
    new: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    key: str
    old: str | None = None


Step: TypeAlias = Get | Add | Put | Swap | Drop


class Store(Protocol):
    """Values are text, keys come from `key_of`, times are in seconds.

    Raises, from every method: `StoreUnavailable`. What was asked may have happened all the same.
    """

    async def get(self, key: str) -> str | None:
        """The value, unless there is none or it has expired."""
        ...

    async def add(self, key: str, value: str, seconds: float) -> bool:
        """Store the value where there is none; whether it did. A token is used once by adding it twice."""
        ...

    async def put(self, key: str, value: str, seconds: float | None) -> None:
        """Store the value, whatever there is; None keeps it until it is dropped."""
        ...

    async def swap(self, key: str, old: str, new: str, seconds: float) -> bool:
        """Replace the value where it is `old`; whether it was."""
        ...

    async def drop(self, key: str, old: str | None = None) -> bool:
        """Remove the value, with `old` only where it is that; whether it did."""
        ...

    async def together(self, *steps: Step) -> list[str | bool | None]:
        """What each step says, one after the other, at the price of one where the store can.

        What follows an `Add` or a `Swap` that did not happen is left out. Each step is atomic; all of them need not be.
        """
        ...

    async def draw(self, key: str, limit: int, seconds: float, *, take: bool = True) -> float:
        """Take one of the `limit` that any `seconds` in a row may have; with `take` false only look.

        Returns: 0.0 where it was (or could be) taken, else in how many seconds the next can be; `inf` for a limit
        of none. Those who draw from one key must agree on `seconds`.
        """
        ...

    async def ping(self) -> None:
        """Raises `StoreUnavailable` where a write would."""
        ...

    async def aclose(self) -> None:
        """Give back what is held open; a second call does nothing."""
        ...


def key_of(space: str, *parts: str) -> str:
    """A key of bounded length in which no part can imitate another, and from which none can be read."""
    whole = "".join(f"{len(part)}:{part}" for part in parts)
    return f"{space}:{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()}"


async def one_by_one(store: Store, steps: tuple[Step, ...]) -> list[str | bool | None]:
    """`together` of a store to which a step more costs nothing, or as much as any."""
    said: list[str | bool | None] = []
    for step in steps:
        match step:
            case Get(key):
                said.append(await store.get(key))
            case Add(key, value, seconds):
                said.append(await store.add(key, value, seconds))
            case Put(key, value, until):
                await store.put(key, value, until)
                said.append(None)
            case Swap(key, old, new, seconds):
                said.append(await store.swap(key, old, new, seconds))
            case Drop(key, only):
                said.append(await store.drop(key, only))
        if ended(step, said[-1]):
            break
    return said


def ended(step: Step, said: str | bool | None) -> bool:
    """Whether what follows this step is left out."""
    return said is False and isinstance(step, Add | Swap)
