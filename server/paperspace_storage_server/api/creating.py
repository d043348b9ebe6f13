"""Creations: at most one for each request, whatever gets lost; what a lost one made is found by looking."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from math import ceil
from typing import Generic, TypeVar

import msgspec
from pydantic_core import to_json

from paperspace_storage_server.api.perform import Performing, alike
from paperspace_storage_server.state.creations import Creation
from paperspace_storage_server.wire.messages import Codec, Operation
from paperspace_storage_server.wire.parsing import decoder
from paperspace_storage_tools.errors import (
    Failure,
    Kind,
    Malformed,
    OutcomeUnknown,
    Refused,
    StoreUnavailable,
    TimedOut,
)
from paperspace_storage_tools.models import Page, SharedDrive, Snapshot, StorageProvider, written

ResourceT = TypeVar("ResourceT", SharedDrive, Snapshot, StorageProvider)

_MOST_PAGES = 25  # of 120 items that are read to know what was there before a creation
_LOOKS = (0.0, 1.0, 3.0)  # seconds before each look for what a lost creation may have made
_CLOCKS_APART = 120.0  # seconds that the API's clock may differ from ours
_MOST_OPEN = 20  # earlier creations of one kind and name whose outcome is open
_MOST_NAMED = 5
UNDER_WAY = 60.0
"""Seconds after which a request without an answer is over: the API's gateways give up by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Generic[ResourceT]):
    """A resource that is to be created: how to ask for it, where it would be listed, and how to know it again.

    `fields` are those of the request that tell one request from another; `fits` compares a listed resource with them.
    """

    kind: Kind
    name: str
    fields: tuple[object, ...]
    fits: Callable[[ResourceT], bool]
    make: Callable[[Codec], Operation[ResourceT]]
    page: Callable[[str | None], Awaitable[Page[ResourceT]]]
    check: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(to_json(self.fields)).hexdigest()


@dataclass(slots=True, kw_only=True)
class _Open:
    """What is written down of a creation before its request goes out: for the next one, in whichever process.

    `before` are the ids of what fitted it then, None where they could not be known; `sent` is the wall clock's time.
    `made`, its id, and `whole`, all of it as JSON, are there once the API has answered and the call still waits.
    """

    wanted: str
    sent: float
    before: list[str] | None
    made: str | None = None
    whole: str | None = None


_RECORD = decoder(list[_Open])


def _read(record: str | None) -> list[_Open]:
    return _RECORD.decode(record or "[]")


def _written(open: list[_Open]) -> str:
    return msgspec.json.encode(open).decode()


async def create(
    api: Performing,
    wanted: Wanted[ResourceT],
    *,
    again: bool = True,
    then: Callable[[ResourceT], Awaitable[ResourceT]] | None = None,
) -> ResourceT:
    """Create at most once.

    Where the API's answer is lost, exactly one resource that was not there before, with the fields asked for, is the
    answer; none or several is an honest "unknown". A request that was called unknown, or cancelled, and is made
    again, is looked for first: what it made is the answer, and while it may still be under way nothing is sent.
    `again` is false where only a new one will do, whatever an earlier request may have made.

    `then` is what the call still waits for with what was made. Its caller may be gone before that ends, so as long as
    it does not, a request for the same is a repeat, whose answer is what was made, with the rest of the wait.
    """
    if (codec := api.upstream.codec) is not None:
        operation = wanted.make(codec)  # refuses what cannot be expressed before anything is asked

        def made_before(codec: Codec) -> Operation[ResourceT]:
            return operation

        wanted = replace(wanted, make=made_before)
    elif alike(wanted.make) is None:
        wanted.make(await api.codec())  # else a probe that fails for the list would be made again for the write
    came = api.upstream.now()
    async with api.upstream.turn_to_create(wanted.kind, wanted.name, api.budget) as creation:
        there = await _fitting(wanted)
        turn = _Turn(api, wanted, creation, _read(creation.earlier))
        made = await turn.made_earlier(there, came) if again else None
        if made is None:
            made = await turn.makes(there)
        if then is None:
            await turn.settled(made.id)
            return made
        waiting = await turn.waits(made)
    try:
        result = await then(made)
    except Exception:  # a cancellation is none: what was made stays written down for the repeat
        await _answered(api, wanted, waiting)
        raise
    await _answered(api, wanted, waiting)
    return result


async def _answered(api: Performing, wanted: Wanted[ResourceT], waiting: _Open) -> None:
    """Nobody waits for it any longer: the next request for the same is one of its own."""
    with suppress(TimedOut, StoreUnavailable):  # a record that stays makes the next one look once more than it needs
        async with api.upstream.turn_to_create(wanted.kind, wanted.name, api.budget) as creation:
            others = [
                one for one in _read(creation.earlier) if (one.wanted, one.sent) != (waiting.wanted, waiting.sent)
            ]
            if others:
                await creation.opens(_written(others))
            else:
                creation.settled()


class _Turn(Generic[ResourceT]):
    """One creation, and the open ones of its kind and name before it."""

    def __init__(self, api: Performing, wanted: Wanted[ResourceT], creation: Creation, others: list[_Open]) -> None:
        self._api = api
        self._wanted: Wanted[ResourceT] = wanted
        self._creation = creation
        self._others = others[-_MOST_OPEN:]
        self._record = ""

    async def made_earlier(self, there: list[ResourceT] | None, came: float) -> ResourceT | None:
        """What an earlier request made that this one repeats; None where there is none, or it has made nothing.

        A request that `came` before the earlier one was sent repeats nothing: it only waited for its turn.

        Raises:
            OutcomeUnknown: it cannot be told, or may still be under way.
        """
        now, kind = self._api.upstream.now(), self._wanted.kind
        for earlier in [one for one in self._same() if one.sent < came]:
            found = _made_by(earlier, self._wanted, there, now)
            self._others.remove(earlier)
            if found is None:
                continue
            if earlier.whole is None:
                self._api.notice(
                    f"An earlier request for the same had no answer. This {kind} is the only new one that fits it, "
                    "so it is the answer, and no second one was made."
                )
                return found
            self._api.notice(
                f"An earlier call for the same made this {kind}, and its caller may be gone: it is the answer, and no "
                "second one was made."
            )
            return decoder(type(found)).decode(earlier.whole)
        return None

    async def makes(self, there: list[ResourceT] | None) -> ResourceT:
        """Send the request. Raises a `Failure` that says what is known of its outcome."""
        api, wanted = self._api, self._wanted
        mine = await self.opens(None if there is None else [one.id for one in there])
        try:
            return await api.perform(wanted.make, left=self.left)
        except Failure as failure:
            if not failure.in_doubt:
                await self.settled()
                raise
            made = await _find_created(api, wanted, mine, failure)
            api.notice(
                f"The API's answer was lost. This {wanted.kind} was found by looking: it is the only new one that fits "
                "what was asked for. Who else makes one of that name at that moment could have made it."
            )
            return made

    async def waits(self, made: ResourceT) -> _Open:
        """Write down what was made, for a repeat of the request while the call still waits."""
        sent, whole = self._api.upstream.now(), written(made)
        waiting = _Open(wanted=self._wanted.digest, sent=sent, before=None, made=made.id, whole=whole)
        await self.settled(made.id, [waiting])
        return waiting

    async def opens(self, before: list[str] | None) -> _Open:
        """Write it down. Raises `StoreUnavailable`: then it must not be sent."""
        mine = _Open(wanted=self._wanted.digest, sent=self._api.upstream.now(), before=before)
        self._record = _written([*self._others, mine])
        await self._creation.opens(self._record)
        return mine

    async def left(self, failure: Failure) -> None:
        """The request went on without its caller, and failed. What it may have made the next one finds by looking; what
        certainly made nothing need not keep the next one waiting."""
        if not failure.in_doubt:
            with suppress(StoreUnavailable):
                await self._creation.forget(self._record)

    async def settled(self, id: str | None = None, waiting: Sequence[_Open] = ()) -> None:
        """Its outcome is known: `id`, or nothing, was made. What is known of the others stays, and who is `waiting`."""
        for one in self._same():
            if id is not None and one.before is not None:
                one.before.append(id)  # it is this request's, so no answer of theirs
        with suppress(StoreUnavailable):  # a record that stays makes the next one look once more than it needs
            if open := [*self._others, *waiting]:
                await self._creation.opens(_written(open))
            else:
                self._creation.settled()

    def _same(self) -> list[_Open]:
        return [one for one in self._others if one.wanted == self._wanted.digest]


def _made_by(earlier: _Open, wanted: Wanted[ResourceT], there: list[ResourceT] | None, now: float) -> ResourceT | None:
    if earlier.made is not None and there is not None:
        return next((one for one in there if one.id == earlier.made), None)  # none: it is gone since
    left = earlier.sent + UNDER_WAY - now
    unknown = f"An earlier request for this {wanted.kind} had no answer"
    if there is None or earlier.before is None:
        if left <= 0:
            return None
        raise OutcomeUnknown(f"{unknown}, and what there is cannot be listed. Nothing was sent now.", wanted.check)
    new = [one for one in there if one.id not in earlier.before and _in_time(one, earlier.sent, now)]
    match new:
        case [one]:
            return one
        case []:
            if left <= 0:
                return None
            raise OutcomeUnknown(
                f"{unknown} and may still be under way; none that fits is there yet. Nothing was sent now.",
                f"Call again in {ceil(left)} s: then it is looked for once more, and a new one made if there is none.",
            )
        case _:
            ids = ", ".join(one.id for one in new[:_MOST_NAMED])
            raise OutcomeUnknown(f"{unknown}, and several new ones fit it: {ids}. Nothing was sent now.", wanted.check)


async def _fitting(wanted: Wanted[ResourceT]) -> list[ResourceT] | None:
    """What is there already and fits; None where it cannot be known."""
    try:
        return [item async for item in _all(wanted.page) if wanted.fits(item)]
    except Refused as failure:
        if failure.status == 401:
            raise
        return None
    except (Malformed, _TooMany):
        return None


async def _find_created(api: Performing, wanted: Wanted[ResourceT], mine: _Open, cause: Failure) -> ResourceT:
    unknown = f"It is unknown whether the {wanted.kind} was created: {cause.short()}"
    if mine.before is None:
        raise OutcomeUnknown(unknown, wanted.check)
    looked = False
    for pause in takewhile(lambda pause: pause < api.budget.left(), _LOOKS):
        await api.upstream.sleep(pause)
        try:
            there = [item async for item in _all(wanted.page) if item.id not in mine.before and wanted.fits(item)]
        except (Failure, _TooMany):
            continue
        looked = True
        new = [item for item in there if _in_time(item, mine.sent, api.upstream.now())]
        match new:
            case []:
                pass
            case [one]:
                return one
            case _:
                ids = ", ".join(item.id for item in new[:_MOST_NAMED])
                raise OutcomeUnknown(f"{unknown} Several new ones fit it: {ids}.", wanted.check)
    found = "None that fits was found by looking." if looked else "Looking for it was not possible either."
    raise OutcomeUnknown(f"{unknown} {found}", wanted.check)


def _in_time(item: SharedDrive | Snapshot | StorageProvider, sent: float, now: float) -> bool:
    """Whether it can have been made by a request that was sent then: its date may say that somebody else made it."""
    try:
        made = datetime.fromisoformat(item.dt_created or "")
    except ValueError:
        return True
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return sent - _CLOCKS_APART <= made.timestamp() <= now + _CLOCKS_APART


class _TooMany(Exception):
    """More than `_MOST_PAGES`."""


async def _all(page: Callable[[str | None], Awaitable[Page[ResourceT]]]) -> AsyncIterator[ResourceT]:
    after: str | None = None
    for _ in range(_MOST_PAGES):
        one = await page(after)
        for item in one.items:
            yield item
        after = one.next_page
        if after is None:
            return
    raise _TooMany
