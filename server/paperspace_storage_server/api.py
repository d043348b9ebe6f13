"""The ports of the tools, implemented: encode, send, decode. No tool knows which dialect it is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias, TypeVar

from pydantic import SecretStr

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http, Sleep
from paperspace_storage_server.wire.messages import Answer, Codec, Dialect, Operation
from paperspace_storage_server.wire.recognise import PROBE, recognise
from paperspace_storage_tools.errors import (
    Failure,
    Kind,
    Malformed,
    OutcomeUnknown,
    Refused,
    ServerTrouble,
    TimedOut,
    Unreachable,
    Unsupported,
)
from paperspace_storage_tools.models import (
    MachineEvent,
    Page,
    SharedDrive,
    Snapshot,
    StorageProvider,
    StorageUtilization,
)
from paperspace_storage_tools.ports import (
    DriveChange,
    DriveQuery,
    NewDrive,
    NewProvider,
    NewSnapshot,
    Query,
    SnapshotChange,
    SnapshotQuery,
)

DialectSetting: TypeAlias = Literal["auto", "published", "live"]
T = TypeVar("T")
ResourceT = TypeVar("ResourceT", SharedDrive, Snapshot, StorageProvider)
LearnSecret = Callable[[SecretStr], None]
Notice = Callable[[str], None]

DIALECTS: tuple[Dialect, ...] = ("published", "live")
_MOST_PAGES = 25  # of 120 items that are read to know what was there before a creation
_LOOKS = (0.0, 1.0, 3.0)  # seconds before each look for what a lost creation may have made
_MOST_REMEMBERED = 2000


@cache
def codec_of(dialect: Dialect) -> Codec:
    """The codec, imported when it is first spoken: its models take a start-up's time to build."""
    if dialect == "live":
        from paperspace_storage_server.wire.live import Live

        return Live()
    from paperspace_storage_server.wire.published import Published

    return Published()


@dataclass(slots=True)
class _Turn:
    """The lock of the creations of one kind and name, and how many hold it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@asynccontextmanager
async def _held(lock: asyncio.Lock, budget: Budget) -> AsyncGenerator[None]:
    """The lock, waited for no longer than the budget lasts."""
    try:
        async with asyncio.timeout(budget.left()):
            await lock.acquire()
    except TimeoutError:
        raise TimedOut(budget.spent(), 0) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(slots=True)
class Connection:
    """What outlives a call: the pool, the dialect once it is known, and what this process has created."""

    http: Http
    dialect: DialectSetting = "auto"
    sleep: Sleep = asyncio.sleep
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    created: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    creating: dict[tuple[str, str], _Turn] = field(default_factory=dict[tuple[str, str], _Turn])

    @property
    def codec(self) -> Codec | None:
        return None if self.dialect == "auto" else codec_of(self.dialect)

    def remember_created(self, id: str) -> None:
        self.created[id] = None
        while len(self.created) > _MOST_REMEMBERED:
            self.created.popitem(last=False)

    @asynccontextmanager
    async def one_at_a_time(self, kind: str, name: str, budget: Budget) -> AsyncGenerator[None]:
        """Creations of one kind and name follow each other: else two lost answers could claim one resource.

        Raises:
            TimedOut: the turn did not come within the budget.
        """
        key = (kind, name)
        turn = self.creating.setdefault(key, _Turn())
        turn.users += 1  # those who wait count too: a lock that is dropped under them would let a third one in
        try:
            async with _held(turn.lock, budget):
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                self.creating.pop(key, None)


class PaperspaceStorage:
    """The API within one call's budget. Secrets in answers go to `learn`, remarks for the caller to `notice`."""

    def __init__(self, connection: Connection, budget: Budget, learn: LearnSecret, notice: Notice) -> None:
        self.connection = connection
        self.budget = budget
        self.notice = notice
        self._learn = learn
        self.drives = _Drives(self)
        self.snapshots = _Snapshots(self)
        self.providers = _Providers(self)
        self.utilization = _Utilization(self)
        self.events = _Events(self)

    async def codec(self) -> Codec:
        """The codec in use; asks with one harmless GET where no earlier answer has told."""
        connection = self.connection
        if (codec := connection.codec) is not None:
            return codec
        async with _held(connection.probing, self.budget):
            if (codec := connection.codec) is not None:
                return codec
            answer = await connection.http.send(PROBE, self.budget)
            dialect = recognise(answer)
            if dialect is None:
                if 200 <= answer.status < 300:
                    raise Malformed("it does not show which dialect the API speaks")
                from paperspace_storage_server.wire.answers import failure_of

                raise failure_of(answer, kind="snapshot", id=None)
            codec = codec_of(dialect)
            codec.list_snapshots(SnapshotQuery(limit=1)).decode(answer)  # a stray `[]` or `{}` must not settle it
            connection.dialect = dialect
            return codec

    async def ask(self, make: Callable[[Codec], Operation[T]]) -> T:
        """Encode, send, decode. While the dialect is unknown, what both encode alike is sent, and its answer tells."""
        codec = self.connection.codec
        if codec is None:
            operation = _alike(make)
            if operation is not None:
                answer = await self.connection.http.send(operation["live"].request, self.budget)
                dialect = recognise(answer)
                value = self._decode(operation[dialect or "live"], answer)
                if dialect is not None and self.connection.dialect == "auto":
                    self.connection.dialect = dialect  # an answer that could not be read tells nothing
                return value
            codec = await self.codec()
        operation_ = make(codec)
        return self._decode(operation_, await self.connection.http.send(operation_.request, self.budget))

    def _decode(self, operation: Operation[T], answer: Answer) -> T:
        try:
            decoded = operation.decode(answer)
        except Failure as failure:
            if operation.request.method == "GET":
                raise
            # A refusal, too, leaves it open what an earlier try of the same request has done. A 408 may come from
            # a gateway that gave up waiting for an API that goes on.
            if answer.doubt or answer.status == 408 or isinstance(failure, ServerTrouble | Malformed):
                failure.changed = "unknown"
            raise
        for secret in decoded.secrets:
            self._learn(secret)
        return decoded.value

    async def create(
        self,
        make: Callable[[Codec], Operation[ResourceT]],
        page: Callable[[str | None], Awaitable[Page[ResourceT]]],
        asked_for: Callable[[ResourceT], bool],
        *,
        kind: Kind,
        name: str,
        check: str,
    ) -> ResourceT:
        """Create at most once. `page` lists where the new one would be; `asked_for` compares with the request.

        Where the API's answer is lost, exactly one resource that was not there before, with the fields asked for,
        is the answer; none or several is an honest "unknown".
        """
        if (codec := self.connection.codec) is not None:
            make(codec)  # refuses what cannot be expressed before anything is asked
        elif _alike(make) is None:
            make(await self.codec())  # else a probe that fails for the list would be made again for the write
        async with self.connection.one_at_a_time(kind, name, self.budget):
            before = await self._ids_before(page)
            try:
                made = await self.ask(make)
            except Failure as failure:
                if failure.changed != "unknown":
                    raise
                made = await self._find_created(page, asked_for, before, failure, kind=kind, check=check)
                self.notice(f"The API's answer was lost; this {kind} was found by looking and is new.")
            self.connection.remember_created(made.id)
            return made

    async def _ids_before(self, page: Callable[[str | None], Awaitable[Page[ResourceT]]]) -> set[str] | None:
        """The ids that are there before a creation; None where they cannot be known."""
        try:
            return {item.id async for item in _all(page)}
        except (ServerTrouble, TimedOut, Unreachable) as failure:
            failure.changed = "nothing"
            raise
        except Refused as failure:
            if failure.status == 401:
                raise
            return None
        except (Malformed, _TooMany):
            return None

    async def _find_created(
        self,
        page: Callable[[str | None], Awaitable[Page[ResourceT]]],
        asked_for: Callable[[ResourceT], bool],
        before: set[str] | None,
        cause: Failure,
        *,
        kind: Kind,
        check: str,
    ) -> ResourceT:
        unknown = f"It is unknown whether the {kind} was created: {cause.short()}"
        if before is None:
            raise OutcomeUnknown(unknown, check)
        known = before | self.connection.created.keys()
        looked = False
        for pause in _LOOKS:
            if pause >= self.budget.left():
                break
            await self.connection.sleep(pause)
            try:
                new = [item async for item in _all(page) if item.id not in known and asked_for(item)]
            except (Failure, _TooMany):
                continue
            looked = True
            if len(new) == 1:
                return new[0]
            if len(new) > 1:
                ids = ", ".join(item.id for item in new[:5])
                raise OutcomeUnknown(f"{unknown} Several new ones fit it: {ids}.", check)
        found = "None that fits was found by looking." if looked else "Looking for it was not possible either."
        raise OutcomeUnknown(f"{unknown} {found}", check)

    async def delete(
        self, make: Callable[[Codec], Operation[T]], look: Callable[[], Awaitable[object]], what: str
    ) -> T | None:
        """Delete; a lost answer is settled by looking: what is no longer there was deleted."""
        try:
            return await self.ask(make)
        except Failure as failure:
            if failure.changed != "unknown":
                raise
            if isinstance(failure, Refused) and failure.status == 404:
                return None  # a repeat found it gone: an earlier try has deleted it
            cause = failure
        try:
            await look()
        except Refused as refused:
            if refused.status == 404:
                return None
        except Failure:
            pass
        else:
            raise OutcomeUnknown(
                f"The deletion of the {what} was sent, its answer was lost, and it is still there: {cause.short()}",
                "It may be under way: look again in a minute, and delete again if it is still there.",
            )
        raise OutcomeUnknown(
            f"It is unknown whether the {what} was deleted: {cause.short()}", "Look for it before trying again."
        )

    async def update(
        self,
        make: Callable[[Codec], Operation[T]],
        look: Callable[[], Awaitable[T]],
        has_it: Callable[[T], bool],
    ) -> T:
        """Change; where the answer is lost, the resource with the change in it is the answer."""
        try:
            return await self.ask(make)
        except Failure as failure:
            if failure.changed != "unknown":
                raise
            try:
                present = await look()
            except Failure:
                raise failure from None
            if not has_it(present):
                raise
            self.notice("The API's answer was lost; the change was found by looking.")
            return present


class _TooMany(Exception):
    """More than `_MOST_PAGES`."""


class _Drives:
    def __init__(self, api: PaperspaceStorage) -> None:
        self._api = api

    async def list(self, query: DriveQuery) -> Page[SharedDrive]:
        return await self._api.ask(lambda codec: codec.list_drives(query))

    async def create(self, new: NewDrive) -> SharedDrive:
        def asked_for(drive: SharedDrive) -> bool:
            return (drive.name, drive.size, drive.region) == (new.name, new.size, new.region) and (
                drive.private_network_id in (None, new.private_network_id)
            )

        return await self._api.create(
            lambda codec: codec.create_drive(new),
            lambda after: self.list(DriveQuery(name=new.name, after=after, limit=120)),
            asked_for,
            kind="shared drive",
            name=new.name,
            check="Look with list_shared_drives before trying again.",
        )

    async def get(self, id: str) -> SharedDrive:
        return await self._api.ask(lambda codec: codec.get_drive(id))

    async def update(self, id: str, change: DriveChange) -> SharedDrive:
        def has_it(drive: SharedDrive) -> bool:
            return change.name in (None, drive.name) and change.size in (None, drive.size)

        return await self._api.update(lambda codec: codec.update_drive(id, change), lambda: self.get(id), has_it)

    async def delete(self, id: str) -> None:
        await self._api.delete(lambda codec: codec.delete_drive(id), lambda: self.get(id), f"shared drive {id}")


class _Snapshots:
    def __init__(self, api: PaperspaceStorage) -> None:
        self._api = api

    async def list(self, query: SnapshotQuery) -> Page[Snapshot]:
        return await self._api.ask(lambda codec: codec.list_snapshots(query))

    async def create(self, new: NewSnapshot) -> Snapshot:
        def asked_for(snapshot: Snapshot) -> bool:
            return (snapshot.machine_id, snapshot.name) == (new.machine_id, new.name) and (
                snapshot.note == new.note or new.note is None
            )

        return await self._api.create(
            lambda codec: codec.create_snapshot(new),
            lambda after: self.list(SnapshotQuery(machine_id=new.machine_id, after=after, limit=120)),
            asked_for,
            kind="snapshot",
            name=f"{new.machine_id}/{new.name}",
            check="Look with list_snapshots (machineId) before trying again.",
        )

    async def get(self, id: str) -> Snapshot:
        return await self._api.ask(lambda codec: codec.get_snapshot(id))

    async def update(self, id: str, change: SnapshotChange) -> Snapshot:
        def has_it(snapshot: Snapshot) -> bool:
            return change.name in (None, snapshot.name) and change.note in (None, snapshot.note)

        return await self._api.update(lambda codec: codec.update_snapshot(id, change), lambda: self.get(id), has_it)

    async def delete(self, id: str) -> MachineEvent | None:
        return await self._api.delete(lambda codec: codec.delete_snapshot(id), lambda: self.get(id), f"snapshot {id}")

    async def restore(self, id: str, *, safety_snapshot: bool) -> MachineEvent | None:
        try:
            return await self._api.ask(lambda codec: codec.restore_snapshot(id, safety_snapshot))
        except Failure as failure:
            if failure.changed != "unknown":
                raise
            raise OutcomeUnknown(
                f"It is unknown whether the restore of snapshot {id} began: {failure.short()} It was not repeated.",
                "Ask the person to look at the machine before trying again.",
            ) from None

    async def makes_safety_snapshots(self) -> bool:
        return (await self._api.codec()).makes_safety_snapshots


class _Providers:
    def __init__(self, api: PaperspaceStorage) -> None:
        self._api = api

    async def list(self, query: Query) -> Page[StorageProvider]:
        return await self._api.ask(lambda codec: codec.list_providers(query))

    async def create(self, new: NewProvider) -> StorageProvider:
        def asked_for(provider: StorageProvider) -> bool:
            return (provider.name, provider.type) == (new.name, new.type) and new.bucket in (None, provider.bucket)

        return await self._api.create(
            lambda codec: codec.create_provider(new),
            lambda after: self.list(Query(after=after, limit=120)),
            asked_for,
            kind="storage provider",
            name=new.name,
            check="Look with list_storage_providers before trying again.",
        )

    async def get(self, id: str) -> StorageProvider:
        return await self._api.ask(lambda codec: codec.get_provider(id))

    async def update(self, id: str, new: NewProvider) -> StorageProvider:
        codec = await self._api.codec()
        codec.update_provider(id, new, None)  # refuses what cannot be expressed before anything is asked
        present = None if codec.keeps_hidden_provider_fields else await self.get(id)
        return await self._api.ask(lambda codec: codec.update_provider(id, new, present))

    async def delete(self, id: str) -> None:
        await self._api.delete(lambda codec: codec.delete_provider(id), lambda: self.get(id), f"storage provider {id}")


class _Utilization:
    def __init__(self, api: PaperspaceStorage) -> None:
        self._api = api

    async def get(self) -> StorageUtilization:
        return await self._api.ask(lambda codec: codec.utilization())


class _Events:
    def __init__(self, api: PaperspaceStorage) -> None:
        self._api = api

    async def get(self, id: str) -> MachineEvent:
        return await self._api.ask(lambda codec: codec.get_event(id))


def _alike(make: Callable[[Codec], Operation[T]]) -> dict[Dialect, Operation[T]] | None:
    """The operation in both dialects where they send the same request, else None.

    Raises:
        Unsupported: neither dialect can express it.
    """
    made: dict[Dialect, Operation[T]] = {}
    refusals: list[Unsupported] = []
    for dialect in DIALECTS:
        try:
            made[dialect] = make(codec_of(dialect))
        except Unsupported as refusal:
            refusals.append(refusal)
    if len(refusals) == len(DIALECTS):
        raise refusals[0]
    if refusals or made["published"].request != made["live"].request:
        return None
    return made


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
