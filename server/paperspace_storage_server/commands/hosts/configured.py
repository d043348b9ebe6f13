"""Which hosts on this machine have an entry of this server, and whether it starts: for `doctor`, and for what `install`
has to find. Nothing is ever started but this installation itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from paperspace_storage_server.commands.hosts.computer import Computer, this_computer
from paperspace_storage_server.commands.hosts.files import read
from paperspace_storage_server.commands.hosts.form import Damaged, Plain
from paperspace_storage_server.commands.hosts.launch import (
    Installation,
    runs_this_server,
    serves,
    shown,
    this_installation,
)
from paperspace_storage_server.commands.hosts.not_done import NotDone
from paperspace_storage_server.commands.hosts.table import HOSTS, Host, Launch

_LONGEST: Final = 20.0  # seconds; a cold start on a slow disk takes a few
_HANDED_ON: Final = (  # to a server that is looked at; anything else in an entry could make it another program
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "AWS_SHARED_CREDENTIALS_FILE",
)
_HELLO: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "paperspace-storage-mcp doctor", "version": "1"},
    },
}

Scope: TypeAlias = Literal["user", "project"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of this server in a host's file. `launch` is None where it is an address, or nothing that starts."""

    host: Host
    file: Path
    scope: Scope
    name: str
    written: Plain
    launch: Launch | None


@dataclass(frozen=True, slots=True)
class Configured:
    """An entry of this server, for a person or as JSON.

    `command` may be shown: what in it could hold a secret is hidden. `this_installation` says whether the entry starts
    the installation that is asked; `answers` whether, started, it answered `initialize`, None where it was not started;
    `trouble` says in a sentence why it does not, or was not.
    """

    host: str
    title: str
    file: str
    scope: Scope
    entry: str
    command: str
    this_installation: bool
    answers: bool | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A host's file that is there and tells nothing, with the reason in a sentence."""

    host: str
    title: str
    file: str
    trouble: str


def configured_hosts(
    folder: Path | None = None, *, start: bool = True, installation: Installation | None = None
) -> list[Configured | Unreadable]:
    """The entries of this server on this machine, for this user and for the project in `folder`, in the hosts' order.

    With `start`, those that start this installation are started, one after the other, and must answer `initialize`.

    Raises:
        NotDone: this user has no home directory.
    """
    computer = this_computer()
    installation = installation or this_installation(os.environ)
    found: list[Configured | Unreadable] = []
    for host in HOSTS.values():
        for file, scope in _files(host, computer, folder):
            try:
                entries = list(entries_in(host, file, scope))
            except NotDone as why:
                found.append(Unreadable(host.name, host.title, str(file), str(why)))
                continue
            found += [_looked_at(entry, installation, start=start) for entry in entries]
    return found


def user_files(host: Host, computer: Computer) -> list[Path]:
    """The host's files for this user, there or not, the one to make first."""
    return [Path(file) for file in host.files(computer)]


def entries_in(host: Host, file: Path, scope: Scope = "user") -> Iterator[Entry]:
    """This server's entries in a file; none where there is no file. Raises `NotDone`."""
    for name, written in table_of(host, file, read(file).text).items():
        launch = host.shape.launch(written)
        if launch is not None and runs_this_server(launch.command):
            yield Entry(host, file, scope, name, written, launch)


def table_of(host: Host, file: Path, text: str | None) -> dict[str, Plain]:
    """All entries of a host's file, by name. Raises `NotDone`."""
    try:
        plain = host.form.read(text) if text is not None else {}
    except Damaged as damaged:
        raise NotDone(f"{file}: damaged ({damaged}); left as it is. Mend it, then run this again") from None
    table = plain.get(host.shape.table, {}) if isinstance(plain, dict) else None
    if not isinstance(table, dict):
        what = "the whole" if table is None else f'"{host.shape.table}"'
        raise NotDone(f"{file}: damaged ({what} is no table of entries); left as it is. Mend it, then run this again")
    return table


def trouble_of(command: tuple[str, ...], env: Mapping[str, str], within: float = _LONGEST) -> str | None:
    """Start a server and see it answer `initialize`: why it does not, in a sentence, or None.

    Of an entry's variables those alone are set that are this server's settings, or lead it through a proxy; a value
    that the host would fill in (`${...}`) is left out.
    """
    handed = {
        name: value for name, value in env.items() if _harmless(name) and "${" not in value and "{env:" not in value
    }
    try:
        done = subprocess.run(  # noqa: S603 - this installation's own command, by its absolute path
            command,
            input=json.dumps(_HELLO) + "\n",
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=within,
            env={**os.environ, **handed},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"started, it did not answer within {within:.0f} s"
    except OSError as error:
        return f"it does not start ({error.strerror})"
    if any(_answers(line) for line in done.stdout.splitlines()):
        return None
    said = (done.stderr.strip().splitlines() or [""])[-1].removeprefix("paperspace-storage-mcp: ")
    return f"started, it ended with exit code {done.returncode}" + (f": {said[:300]}" if said else "")


def _harmless(variable: str) -> bool:
    return variable.upper().startswith("PAPERSPACE_") or variable.upper() in _HANDED_ON


def _answers(line: str) -> bool:
    try:
        message = json.loads(line)
        return message["id"] == _HELLO["id"] and "protocolVersion" in message["result"]
    except (ValueError, KeyError, TypeError):
        return False


def _files(host: Host, computer: Computer, folder: Path | None) -> Iterable[tuple[Path, Scope]]:
    users = user_files(host, computer)
    for file in users:
        yield file, "user"
    if folder is not None and host.project and (project := folder / host.project) not in users:
        yield project, "project"


def _looked_at(entry: Entry, installation: Installation, *, start: bool) -> Configured:
    assert entry.launch is not None, "an entry of this server starts it"
    command = installation.starts(entry.launch.command)
    answers: bool | None = None
    trouble: str | None = None
    if command is None:
        trouble = "it starts another installation, which was not looked at"
    elif not serves(command):
        trouble = "what it starts does not serve"
    elif start:
        trouble = trouble_of(command, entry.launch.env)
        answers = trouble is None
    return Configured(
        host=entry.host.name,
        title=entry.host.title,
        file=str(entry.file),
        scope=entry.scope,
        entry=entry.name,
        command=shown(entry.launch.command),
        this_installation=command is not None,
        answers=answers,
        trouble=trouble,
    )
