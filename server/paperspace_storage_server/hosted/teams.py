"""The teams file: whose key each team has, who may act for it, and under which policy. Knows no token and no tool.

A person who is in no team, or in several without saying which, acts for none; no refusal names a team.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Generic, TypeVar, cast

from pydantic import SecretStr

from paperspace_storage_server.hosted.identity import Identity, InNoTeam, NotForAnyTeam
from paperspace_storage_server.hosted.watched import Unreadable

PolicyT = TypeVar("PolicyT")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_FIELDS = ("api-key-env", "api-key-file", "members", "policy")
_MOST_FOUND = 10_000
_MEMBERS = ("subjects", "emails", "groups")


@dataclass(frozen=True, slots=True)
class Members:
    """Who may act for a team: any of these is enough."""

    subjects: frozenset[str] = frozenset()
    emails: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()

    def include(self, identity: Identity) -> bool:
        """Whether a person of the issuer is one of them; a static token is never."""
        return identity.issuer is not None and (
            identity.subject in self.subjects
            or bool(identity.groups & self.groups)
            or any(_is_at(email, glob) for email in identity.emails for glob in self.emails)
        )


@dataclass(frozen=True, slots=True)
class TeamEntry(Generic[PolicyT]):
    """One team of the file."""

    name: str
    api_key: SecretStr
    members: Members
    policy: PolicyT | None


class Teams(Generic[PolicyT]):
    """All teams of one reading of the file."""

    def __init__(self, entries: Sequence[TeamEntry[PolicyT]], team_claim: str | None) -> None:
        self.entries: dict[str, TeamEntry[PolicyT]] = {entry.name: entry for entry in entries}
        self._team_claim = team_claim
        self._found: dict[Identity, TeamEntry[PolicyT]] = {}

    def of(self, identity: Identity) -> TeamEntry[PolicyT]:
        """The team that the bearer of a token acts for, looked for once in one reading of the file.

        Raises:
            NotForAnyTeam: there is none, or it is not said which of several.
        """
        entry = self._found.get(identity)
        if entry is None:
            entry = self._look_for(identity)
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[identity] = entry
        return entry

    def _look_for(self, identity: Identity) -> TeamEntry[PolicyT]:
        if identity.issuer is None:
            entry = self.entries.get(identity.team or "")
            if entry is None:
                raise NotForAnyTeam("The team of this token does not exist here. Ask the operator of this server.")
            return entry
        theirs = {name: entry for name, entry in self.entries.items() if entry.members.include(identity)}
        if identity.team is not None and identity.team not in theirs:
            raise NotForAnyTeam("You may not act for the team that your token names.")
        if not theirs:
            raise InNoTeam("You are in no team of this server. Ask its operator to let you in.")
        if identity.team is not None:
            return theirs[identity.team]
        if len(theirs) > 1:
            how = (
                f"Your token must name one of them in the claim {self._team_claim!r}."
                if self._team_claim
                else "Its operator has to set PAPERSPACE_MCP_AUTH_TEAM_CLAIM to the claim that names one of them."
            )
            raise NotForAnyTeam(f"You are in more than one team of this server. {how}")
        return next(iter(theirs.values()))


def parse(
    content: bytes,
    environment: Mapping[str, str],
    beside: Path,
    policy_of: type[PolicyT],
    team_claim: str | None,
) -> Teams[PolicyT]:
    """The teams of a file's content. A relative `api-key-file` is looked for `beside` it.

    `policy_of` is a pydantic model of a policy's table.

    Raises:
        Unreadable: naming the team and what is wrong with it, without a value.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unreadable(f"it cannot be read as TOML ({type(error).__name__})") from None
    tables: object = document.pop("teams", None)
    if document:
        raise Unreadable(f"{next(iter(document))}: not known there; it holds tables [teams.NAME] only")
    if not isinstance(tables, dict) or not tables:
        raise Unreadable("it has no table [teams.NAME]")
    reading = _Reading(environment, beside, policy_of)
    entries = [reading.entry(name, table) for name, table in cast("dict[str, object]", tables).items()]
    _no_key_twice(entries)
    return Teams(entries, team_claim)


@dataclass(frozen=True, slots=True)
class _Reading(Generic[PolicyT]):
    environment: Mapping[str, str]
    beside: Path
    policy_of: type[PolicyT]

    def entry(self, name: str, table: object) -> TeamEntry[PolicyT]:
        where = f"[teams.{name[:64] if name.isprintable() else '...'}]"
        if not NAME.fullmatch(name):
            raise Unreadable(f"{where}: a team's name is up to 64 letters, digits, spaces, dots, dashes")
        fields = _table(table, _FIELDS, where)
        members = _table(fields.get("members", {}), _MEMBERS, f"{where} members")
        lists = {kind: _strings(members.get(kind, []), f"{where} members.{kind}") for kind in _MEMBERS}
        if any(glob.count("@") != 1 for glob in lists["emails"]):  # `*example.com` means notexample.com as well
            raise Unreadable(f"{where} members.emails: expected addresses or globs with one @, such as *@example.com")
        return TeamEntry(
            name,
            self._key(fields, where),
            Members(frozenset(lists["subjects"]), tuple(lists["emails"]), frozenset(lists["groups"])),
            self._policy(fields["policy"], where) if "policy" in fields else None,
        )

    def _key(self, fields: dict[str, object], where: str) -> SecretStr:
        env, file = fields.get("api-key-env"), fields.get("api-key-file")
        if (env is None) == (file is None) or not isinstance(env or file, str):
            raise Unreadable(f"{where}: expected api-key-env or api-key-file, one of them")
        if isinstance(env, str):
            key, source = self.environment.get(env, "").strip(), f"the variable {env}"
        else:
            path = self.beside / str(file)
            try:
                with path.open(encoding="utf-8") as content:
                    key, source = content.read(10_000).strip(), f"the file {path}"
            except (OSError, UnicodeDecodeError):
                raise Unreadable(f"{where}: api-key-file cannot be read: {path}") from None
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise Unreadable(f"{where}: {source} holds no API key")
        return SecretStr(key)

    def _policy(self, table: object, where: str) -> PolicyT:
        from pydantic import BaseModel, ValidationError

        assert issubclass(self.policy_of, BaseModel)
        if not isinstance(table, dict):
            raise Unreadable(f"{where} policy: expected a table")
        try:
            return self.policy_of.model_validate(table)
        except ValidationError as error:
            wrong = sorted({str(one["loc"][0]) for one in error.errors(include_input=False) if one["loc"]})
            raise Unreadable(f"{where} policy: wrong in it: {', '.join(wrong) or 'something'}") from None


def _table(found: object, known: Sequence[str], where: str) -> dict[str, object]:
    if not isinstance(found, dict):
        raise Unreadable(f"{where}: expected a table")
    table = cast("dict[str, object]", found)
    for field in table:
        if field not in known:
            raise Unreadable(f"{where}: {field}: not known there; it has {', '.join(known)}")
    return table


def _strings(found: object, where: str) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in cast("list[object]", found)):
        raise Unreadable(f"{where}: expected a list of strings")
    return cast("list[str]", found)


def _no_key_twice(entries: Sequence[TeamEntry[PolicyT]]) -> None:
    """One key under two names would be one team with two budgets and two sets of locks."""
    seen: dict[str, str] = {}
    for entry in entries:
        other = seen.setdefault(entry.api_key.get_secret_value(), entry.name)
        if other != entry.name:
            raise Unreadable(f"[teams.{entry.name}]: has the same key as [teams.{other}]")


def _is_at(email: str, glob: str) -> bool:
    """Whether an address is meant by a glob, case aside. Beyond ASCII, letters of other alphabets fold into ours."""
    return (
        email.isascii()
        and email.isprintable()
        and email.count("@") == 1
        and " " not in email
        and fnmatchcase(email.lower(), glob.lower())
    )
