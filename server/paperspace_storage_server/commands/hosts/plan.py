"""What would become of a file, before anything is written: so that a refusal comes first, and a dry run
shows the same."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paperspace_storage_server.commands.hosts.computer import Computer
from paperspace_storage_server.commands.hosts.configured import Entry, Scope, entries_in, table_of, user_files
from paperspace_storage_server.commands.hosts.files import Read, check_backup, read, replace
from paperspace_storage_server.commands.hosts.form import Change, Damaged, Form, Plain, edit
from paperspace_storage_server.commands.hosts.not_done import NotDone
from paperspace_storage_server.commands.hosts.table import Host, Launch

ENTRY: Final = "paperspace-storage"
"""What the entry is called where nobody says otherwise."""

_GOOD_NAME: Final = re.compile(r"[A-Za-z][\w-]{0,63}", re.ASCII)  # what every host takes


@dataclass(frozen=True, slots=True)
class Planned:
    """A file before and after. `shown` are the strings that may be seen of it, `key` is the API key if there is one."""

    before: Read
    after: str
    form: Form
    shown: frozenset[str]
    key: str | None = None
    private: bool = True

    @property
    def file(self) -> Path:
        return self.before.file

    @property
    def changes(self) -> bool:
        return self.after != (self.before.text or "")

    def write(self) -> Path | None:
        """Do it; the copy of what was there, if anything was. Raises `NotDone`."""
        return replace(self.before, self.after, private=self.private)

    def difference(self) -> str:
        """As a unified diff. What the file holds of others is hidden in it, and the key is not shown."""
        was, is_now = (
            self.form.hide(text, self.shown, self.key).splitlines() for text in (self.before.text or "", self.after)
        )
        there = str(self.file) if self.before.text is not None else os.devnull
        return "\n".join(difflib.unified_diff(was, is_now, there, str(self.file), lineterm=""))


@dataclass(frozen=True, slots=True)
class Target:
    """Where a host's entry is, or will be. `entry` is None where there is none of this server yet."""

    host: Host
    file: Path
    scope: Scope
    name: str
    entry: Entry | None


def target_of(host: Host, computer: Computer, *, named: Path | None, name: str | None) -> Target:
    """The one entry that is meant, in the file that was named or in this user's.

    Raises:
        NotDone: the host is not on this machine, a file cannot be read, or more than one entry may be meant.
    """
    users = user_files(host, computer)
    files = users
    if named is not None:
        files = [Path(os.path.abspath(named))]
        _refuse_linked_folders(files[0])
    scope: Scope = "user" if files[0] in users else "project"
    if scope == "user":
        _refuse_absent(host, computer, files)
    found = [entry for file in files for entry in entries_in(host, file, scope) if name in (None, entry.name)]
    if len(found) > 1:
        where = ", ".join(f"{entry.name} in {entry.file}" for entry in found)
        raise NotDone(
            f"{host.title} has {len(found)} entries of this server: {where}; say which with --name or --file, or take "
            "one away"
        )
    if found:
        return Target(host, found[0].file, scope, found[0].name, found[0])
    file = next((file for file in files if os.path.lexists(file)), files[0])
    return Target(host, file, scope, ENTRY if name is None else name, None)


def plan_entry(target: Target, command: tuple[str, ...], env: Mapping[str, str | None], key: str | None) -> Planned:
    """The entry put in, or made to start this command with these variables (None: without one).

    Raises:
        NotDone: the file is damaged, the name taken, or the copy cannot be made.
    """
    host, file = target.host, target.file
    before = read(file)
    given = {name: value for name, value in env.items() if value is not None}
    new = host.shape.entry(Launch(command, given))
    if target.entry is not None:
        changes = host.shape.changes(target.name, target.entry.written, command, env)
    else:
        _refuse_name(target, table_of(host, file, before.text))
        if before.text is None:
            _refuse_to_push_aside(host, file)
        changes = [Change((host.shape.table, target.name), new)]
    old = target.entry.launch.command if target.entry is not None and target.entry.launch is not None else ()
    shown = {target.name, *strings(new), *(word for word in old if "=" not in word), *_strings_of(host, host.new)}
    return _planned(host, before, changes, shown, key, private=target.scope == "user")


def plan_removal(target: Target, key: str | None) -> Planned:
    """Without the entry, if there is one. Raises `NotDone`."""
    host, entry = target.host, target.entry
    before = read(target.file)
    if entry is None or entry.launch is None:
        return Planned(before, before.text or "", host.form, frozenset())
    shown = {
        target.name,
        *strings(host.shape.entry(Launch((ENTRY,), {"": "true"}))),
        *(word for word in entry.launch.command if "=" not in word),
    }
    return _planned(host, before, [Change((host.shape.table, target.name), None)], shown, key, private=True)


def refuse_to_show_a_key(target: Target) -> None:
    """Raises `NotDone` where other people of this machine could read a key that is written there."""
    try:
        mode = os.stat(target.file).st_mode
    except OSError:
        return  # a new one is this user's alone; any other trouble is told where the file is read
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise NotDone(f"{target.file}: others on this machine may read it, so no key is written there; `chmod 600` it")


def _planned(
    host: Host, before: Read, changes: list[Change], shown: set[str], key: str | None, *, private: bool
) -> Planned:
    text = before.text if before.text is not None and before.text.strip() else (before.text or "") + host.new
    if not changes:
        return Planned(before, before.text or "", host.form, frozenset(shown), key)
    check_backup(before.file)
    try:
        after = edit(host.form, text, changes)
    except Damaged as damaged:
        raise NotDone(f"{before.file}: {damaged}; left as it is") from None
    return Planned(before, after, host.form, frozenset(shown - {key}), key, private)


def strings(plain: Plain) -> set[str]:
    """Every string in it but the names."""
    if isinstance(plain, str):
        return {plain}
    if isinstance(plain, dict):
        return {string for one in plain.values() for string in strings(one)}
    return {string for one in plain for string in strings(one)} if isinstance(plain, list) else set()


def _strings_of(host: Host, text: str) -> set[str]:
    return strings(host.form.read(text)) if text else set()


def _refuse_absent(host: Host, computer: Computer, files: list[Path]) -> None:
    signs = [Path(sign) for sign in host.signs(computer)]
    programs = any(shutil.which(program, path=computer.environ.get("PATH")) for program in host.programs)
    if not programs and not any(os.path.lexists(one) for one in (*files, *signs)):
        looked = [f"`{program}` on the PATH" for program in host.programs] + [str(sign) for sign in signs]
        raise NotDone(f"{host.title} is not on this machine: looked for {', '.join(looked)}")


def _refuse_name(target: Target, table: dict[str, Plain]) -> None:
    if target.name in table:
        raise NotDone(
            f"{target.file}: has an entry {target.name} that starts something else; give this one a name with --name"
        )
    if not _GOOD_NAME.fullmatch(target.name):
        raise NotDone("--name: not every host takes that; a letter, then letters, digits, - and _, 64 at most")


def _refuse_to_push_aside(host: Host, file: Path) -> None:
    if host.instead and os.path.lexists(other := file.with_name(host.instead)):
        raise NotDone(f"{file}: would take the place of {other}, which {host.title} reads now; move over to it first")


def _refuse_linked_folders(file: Path) -> None:
    """A project may come from anyone: no folder of it may lead elsewhere."""
    here = Path.cwd()
    folders = [folder for folder in file.parents if folder != here and folder.is_relative_to(here)] or [file.parent]
    for folder in folders:
        if folder.is_symlink():
            raise NotDone(f"{folder}: a link, which is not followed; {file} is left as it is")
