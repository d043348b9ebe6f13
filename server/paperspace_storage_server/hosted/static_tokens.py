"""Static tokens, for those without an issuer: made here, kept as hashes, each with a name, a team, scopes, an end."""

from __future__ import annotations

import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperspace_storage_server.calls.principal import Scope
from paperspace_storage_server.hosted.identity import BadToken, Identity
from paperspace_storage_server.hosted.watched import Unreadable, WatchedFile

PREFIX = "psmcp_"
"""Tells a static token from anything else at sight, also in a repository that is searched for leaked ones."""
_BYTES = 32  # of randomness: a plain hash is enough, for there is nothing to guess
NAME = "[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


class StaticToken(BaseModel):
    """One token, without the token. `created` and `expires` are seconds since 1970; no `expires` is for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    team: str | None = None
    scopes: list[Scope]
    created: int
    expires: int | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tokens: list[StaticToken]


ByHash: TypeAlias = Mapping[str, StaticToken]


class StaticTokens:
    """Checks static tokens against a file, whose changes count within seconds."""

    def __init__(self, file: WatchedFile[ByHash], clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock

    def identify(self, token: str) -> Identity:
        """Who it speaks for.

        Raises:
            BadToken: there is no such token, or its time is over.
            NotReady: the file cannot be read.
        """
        found = self._file.now.get(hash_of(token))
        if found is None:
            raise BadToken("the token is not known; it may have been revoked")
        if found.expires is not None and found.expires <= self._clock():
            raise BadToken("the token has expired")
        return Identity(
            issuer=None,
            subject=found.name,
            scopes=frozenset(found.scopes),
            expires=math.inf if found.expires is None else found.expires,
            team=found.team,
        )


def hash_of(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def parse(content: bytes) -> ByHash:
    """The tokens of a file's content, by their hashes. Raises `Unreadable`."""
    try:
        tokens = _File.model_validate_json(content).tokens
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"it is not as `token new` writes it ({where or 'the whole'}: {first['type']})") from None
    if len({token.name for token in tokens}) != len(tokens):
        raise Unreadable("two tokens have one name")
    return {token.sha256: token for token in tokens}


# --- what the command `token` does


class NoSuchToken(Exception):
    """There is no token of that name."""


class NameTaken(Exception):
    """There is a token of that name already."""


def make(path: Path, name: str, team: str | None, scopes: Sequence[Scope], expires: float | None, now: float) -> str:
    """Write a new token into the file and return it: nobody will see it again.

    Raises:
        NameTaken, Unreadable, OSError: nothing was written.
    """
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    with _rewriting(path) as tokens:
        if any(one.name == name for one in tokens):
            raise NameTaken
        tokens.append(
            StaticToken(
                name=name,
                team=team,
                scopes=list(scopes),
                created=round(now),
                expires=None if expires is None else round(expires),
                sha256=hash_of(token),
            )
        )
    return token


def revoke(path: Path, name: str) -> None:
    """Take the token of that name out of the file.

    Raises:
        NoSuchToken, Unreadable, OSError: nothing was written.
    """
    with _rewriting(path) as tokens:
        if not any(one.name == name for one in tokens):
            raise NoSuchToken
        tokens[:] = [one for one in tokens if one.name != name]


def listed(path: Path) -> list[StaticToken]:
    """The tokens of the file, the oldest first; none where there is no file. Raises `Unreadable`."""
    if not path.exists():
        return []
    return sorted(WatchedFile(path, parse).load().values(), key=lambda one: one.created)


@contextmanager
def _rewriting(path: Path) -> Generator[list[StaticToken]]:
    """The tokens, to be changed; written back whole, or not at all, and by one process at a time."""
    path = path.resolve()
    with _locked(path):
        tokens = listed(path)
        yield tokens
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                _stay_with_its_owner(path, descriptor)
                file.write(_File(tokens=tokens).model_dump_json(indent=1, exclude_none=True) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _stay_with_its_owner(path: Path, descriptor: int) -> None:
    """An operator who is root must not take the file away from the account that the server runs under."""
    if sys.platform != "win32" and path.exists() and os.geteuid() == 0:
        found = path.stat()
        os.fchown(descriptor, found.st_uid, found.st_gid)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Two commands at once follow each other: else one would write over what the other has made or revoked."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":  # pragma: no cover
            import msvcrt

            msvcrt.locking(lock, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def when(seconds: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
