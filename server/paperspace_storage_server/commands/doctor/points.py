"""What has to hold for this server to work here: each point, what was found, and how to mend it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from paperspace_storage_server.calls.dialects import LACKS, spoken
from paperspace_storage_server.calls.service import select
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.settings import Settings, SettingsError, described, home, load_profiles
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import Failure, Malformed, Refused, TimedOut, Unreachable
from paperspace_storage_tools.text import clean

if TYPE_CHECKING:
    from paperspace_storage_server.api.upstream import Upstream

PATIENCE: Final = 15.0  # seconds for one question to the API
_API: Final = "openapi.json"
_LARGEST_DESCRIPTION: Final = 4 * 1024 * 1024  # bytes
_FIRST: Final = "Mend first what stands above."


@dataclass(frozen=True, slots=True)
class Point:
    """One point. `mend` is None where there is nothing to mend."""

    point: str
    ok: bool
    found: str
    mend: str | None = None


def points_here(settings: Settings) -> Iterator[Point]:
    """What can be said without the network."""
    yield _settings_file(settings)
    yield _tools(settings)
    yield _profiles(settings)
    yield _audit_file(settings.audit_file)


async def points_of_api(settings: Settings) -> list[Point]:
    """URL, proxy, TLS, key, team, dialect: one connection, then one harmless question."""
    from paperspace_storage_server.compose import open_upstream

    if settings.sandbox:
        points = [Point("URL", True, "the embedded sandbox, in this process")]
        there = True
    else:
        points = await _way(settings)
        there = all(point.ok for point in points)
    # Asked as if nothing were known: a dialect that is set wrong must not hide behind an answer nobody can read.
    asking = settings if settings.sandbox else settings.model_copy(update={"dialect": "auto", "max_attempts": 1})
    if not there or (settings.api_key is None and not settings.sandbox):
        return [*points, _key(settings, "not tried"), _unknown(settings)]
    upstream = open_upstream(asking)
    try:
        asked = await _asked(settings, upstream)
    finally:
        await upstream.http.aclose()
    answered = {point.point: point for point in asked}
    return [answered.pop(point.point, point) for point in points] + [one for one in asked if one.point in answered]


def _settings_file(settings: Settings) -> Point:
    file = home() / "mcp.toml"
    decided = [one for one in described() if settings.origin(one) == str(file)]
    if decided:
        return Point("settings file", True, f"{file} decides {', '.join(one.replace('_', '-') for one in decided)}")
    return Point("settings file", True, f"{file} {'decides nothing' if file.exists() else 'is not there'}")


def _tools(settings: Settings) -> Point:
    tools = spoken(select(settings), settings.dialect)
    lacks = LACKS[settings.dialect].tools
    found = f"{len(tools)} of {len(CATALOGUE)}" + (", reading only" if settings.read_only else "")
    found += f", without those that the {settings.dialect} dialect lacks" if lacks else ""
    if tools:
        return Point("tools", True, found)
    return Point("tools", False, found, "Nothing is left: change PAPERSPACE_MCP_TOOLSETS, _TOOLS or _EXCLUDE_TOOLS.")


def _profiles(settings: Settings) -> Point:
    try:
        names = load_profiles(settings).names
    except SettingsError as error:
        return Point("credential profiles", False, str(error), "Correct what that line names.")
    return Point("credential profiles", True, ", ".join(map(clean, names)) or "none")


def _audit_file(file: Path | str | None) -> Point:
    """Whether a line could be written; none is, and no file is made."""
    if file is None or isinstance(file, str):
        return Point("audit file", True, "none: writes are not recorded" if file is None else "stderr")
    trouble = _unwritable(file)
    mend = "Without its line no write is made: make the file writable, or name another with PAPERSPACE_MCP_AUDIT_FILE."
    return Point("audit file", trouble is None, f"{file}{f': {trouble}' if trouble else ''}", mend if trouble else None)


def _unwritable(file: Path) -> str | None:
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        folder = file.absolute().parent
        if not folder.is_dir():
            return "its folder is not there"
        return None if os.access(folder, os.W_OK | os.X_OK) else "its folder is not writable"
    except OSError as error:
        return error.strerror
    if stat.S_ISDIR(mode):
        return "it is a folder"
    if stat.S_ISFIFO(mode):
        try:
            os.close(os.open(file, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))
        except OSError as error:
            return "a pipe that nobody reads" if error.errno == errno.ENXIO else error.strerror
        return None
    return None if os.access(file, os.W_OK) else "it is not writable"


async def _way(settings: Settings) -> list[Point]:
    from paperspace_storage_server.http.reach import reach

    reached = await reach(settings.api_url)
    where = settings.origin("api_url")
    found = {
        "URL": f"{settings.api_url}{f' ({where})' if where else ''}",
        "proxy": reached.proxy or "none",
        "TLS": f"trusted by {reached.trust}" if reached.trust else "none: plain http, to this machine",
    }
    order = ("proxy", "URL", "TLS") if reached.trust else ("proxy", "URL")
    points: list[Point] = []
    for name in order:
        if reached.stage == name and reached.trouble is not None:
            what = reached.trouble.what if name == "TLS" else f"{found[name]}: {reached.trouble.what}"
            points.append(Point(name, False, what, _to_you(reached.trouble.advice)))
        elif reached.stage is not None and order.index(name) > order.index(reached.stage):
            points.append(Point(name, False, "not reached", _FIRST))
        else:
            points.append(Point(name, True, found[name]))
    return points if reached.trust else [*points, Point("TLS", True, found["TLS"])]


async def _asked(settings: Settings, upstream: Upstream) -> list[Point]:
    """What the API says to this key."""
    from paperspace_storage_server.api.storage import PaperspaceStorage
    from paperspace_storage_server.guard.hygiene import Hygiene
    from paperspace_storage_server.guard.secrets import Vault

    budget = Budget.of(min(settings.call_timeout, PATIENCE))
    vault = Vault()  # what stands in the way may quote the key that it was sent
    if settings.api_key is not None:
        vault.keep(settings.api_key)
    hygiene = Hygiene(vault)
    storage = PaperspaceStorage(upstream, budget, vault.learn, lambda sentence: None, hygiene)
    try:
        codec = await storage.codec()
    except Failure as failure:
        if isinstance(failure, Refused) and failure.status in (401, 403):
            return [_key(settings, f"refused ({failure.status})"), _unknown(settings)]
        return [_answer(settings, failure), _key(settings, "not tried"), _unknown(settings)]
    name = await storage.team_name() or settings.team  # as the API has it, else as `pspace` saved it
    team = [Point("team", True, hygiene.progress(name))] if name else []
    return [_key(settings, "accepted"), *team, _dialect(settings, codec.dialect)]


def _key(settings: Settings, said: str) -> Point:
    if settings.sandbox:
        return Point("key", True, "none needed")
    if settings.api_key is None:
        return Point(
            "key",
            False,
            "none",
            "Set PAPERSPACE_API_KEY in the entry of the host (a desktop host reads no shell's profile), or run "
            "`pspace login`.",
        )
    found = f"from {settings.origin('api_key')}, {said}"
    if said == "accepted":
        return Point("key", True, found)
    if said == "not tried":
        return Point("key", False, found, _FIRST)
    return Point(
        "key", False, found, "Take a key of the right team and role: it is revoked, mistyped, or may not read."
    )


def _answer(settings: Settings, failure: Failure) -> Point:
    """The API was reached, and did not answer as the API would."""
    if isinstance(failure, Unreachable):
        return Point("URL", False, failure.what, _to_you(failure.advice))
    if isinstance(failure, Malformed | Refused):
        mend = f"Check PAPERSPACE_API_URL: {settings.api_url} leads to something that is not this API."
        return Point("URL", False, clean(failure.short()), mend)
    advice = "Raise PAPERSPACE_MCP_CALL_TIMEOUT if it stays so." if isinstance(failure, TimedOut) else "Try again."
    return Point("URL", False, clean(failure.short()), advice)


def _dialect(settings: Settings, spoken: Dialect) -> Point:
    if settings.dialect in ("auto", spoken):
        return Point("dialect", True, spoken)
    return Point(
        "dialect",
        False,
        f"the API speaks {spoken}, {settings.origin('dialect')} says {settings.dialect}",
        "Leave PAPERSPACE_MCP_DIALECT (--dialect) out.",
    )


def _unknown(settings: Settings) -> Point:
    return Point("dialect", False, f"not known; the setting is {settings.dialect}", _FIRST)


def _to_you(advice: str) -> str:
    """Written for a model that speaks to a person; here the person reads it."""
    told = advice.removeprefix("Ask the person to ")
    return told[:1].upper() + told[1:]


async def description(settings: Settings) -> list[Point]:
    """Where the API's own description differs from what is sent and read, a point each."""
    from paperspace_storage_server.api.upstream import codec_of
    from paperspace_storage_server.commands.doctor.compare import differences
    from paperspace_storage_server.commands.doctor.openapi import NoDescription
    from paperspace_storage_server.http.fetch import NotFetched, fetch_json

    where = f"{settings.api_url}/openapi.json"
    # Production describes itself there; the published dialect is told by its setting only, for its API has none.
    codec = codec_of("published" if settings.dialect == "published" else "live")
    try:
        found = await fetch_json(where, largest=_LARGEST_DESCRIPTION)
        if found is None:
            raise NotFetched("there is none")
        differing = differences(found, codec, urlsplit(settings.api_url).path)
    except NotFetched as error:
        return [Point(_API, False, f"{where}: {error}", "Leave --api out, or see whether the URL is the API's.")]
    except NoDescription:
        return [Point(_API, False, f"{where}: it describes no API", "See whether the URL is the API's.")]
    mend = "Look for a newer version of this server; if there is none, report the difference."
    if differing:
        return [Point(_API, False, clean(difference), mend) for difference in differing]
    return [Point(_API, True, f"{where} says what is sent and read in the {codec.dialect} dialect")]
