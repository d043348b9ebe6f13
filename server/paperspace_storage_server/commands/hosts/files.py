"""Another program's configuration file: read whole, replaced whole, or left as it is. It knows nothing of
what is in it."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paperspace_storage_server.commands.hosts.not_done import NotDone

_LARGEST: Final = 16 * 1024 * 1024  # bytes; Claude Code keeps the history of every project in such a file
_OURS: Final = 0o600


@dataclass(frozen=True, slots=True)
class Read:
    """A file as it was: its text, and what tells whether it is still the same. None of both where there is none."""

    file: Path
    text: str | None
    state: os.stat_result | None = None


def read(file: Path) -> Read:
    """The text of a plain file.

    Raises:
        NotDone: it is a link, no plain file, not this user's to read, too large, or no text.
    """
    try:
        state = os.lstat(file)
        _refuse_odd(file, state)
        opened = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(opened, "rb") as content:
            state = os.fstat(content.fileno())
            _refuse_odd(file, state)
            data = content.read(_LARGEST + 1)
    except FileNotFoundError:
        _refuse_no_folder(file)
        return Read(file, None)
    except (OSError, ValueError) as error:
        raise NotDone(f"{file}: cannot be read ({reason(error)}); left as it is") from None
    if len(data) > _LARGEST:
        raise NotDone(f"{file}: larger than 16 MiB; left as it is")
    try:
        return Read(file, data.decode("utf-8"), state)
    except UnicodeDecodeError:
        raise NotDone(f"{file}: no UTF-8 text; left as it is") from None


def replace(before: Read, text: str, *, private: bool = True) -> Path | None:
    """Write the whole file in one step, keeping its mode and owner, and beside it what it was.

    A new file is this user's alone where it is `private`, else as the umask has it.

    Returns:
        The copy of what it was, if it was.

    Raises:
        NotDone: it cannot be written, or is no longer what was read; then it is as it was.
    """
    file = before.file
    temporary: Path | None = None
    try:
        _refuse_changed(before)
        if before.state is None:
            file.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        temporary = _written(file, text)
        _like(temporary, before.state, private=private)
        backup = _back_up(before)
        _refuse_changed(before)
        os.replace(temporary, file)
        temporary = None
        _settle(file.parent)
    except OSError as error:
        raise NotDone(f"{error.filename or file}: cannot be written ({reason(error)}); {file} is as it was") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return backup


def check_backup(file: Path) -> None:
    """Raises `NotDone` where what would take the copy is a link, or no plain file."""
    try:
        _refuse_odd(backup_of(file), os.lstat(backup_of(file)))
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotDone(f"{backup_of(file)}: cannot be written ({reason(error)}); {file} is as it was") from None


def backup_of(file: Path) -> Path:
    return file.with_name(file.name + ".bak")


def reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _refuse_odd(file: Path, state: os.stat_result) -> None:
    if stat.S_ISLNK(state.st_mode):
        raise NotDone(f"{file}: a link, which is not followed; left as it is")
    if not stat.S_ISREG(state.st_mode):
        raise NotDone(f"{file}: no plain file; left as it is")
    if state.st_nlink > 1:
        raise NotDone(f"{file}: a file with several names (hard links), of which only one would change; left as it is")


def _refuse_no_folder(file: Path) -> None:
    """What stands in the place of the folder, if anything, must be one."""
    for folder in file.parents:
        if folder.is_dir():
            return
        if os.path.lexists(folder):
            raise NotDone(f"{folder}: no folder, so {file.name} cannot be in it")


def _back_up(before: Read) -> Path | None:
    if before.text is None:
        return None
    backup = backup_of(before.file)
    check_backup(before.file)
    written = _written(backup, before.text)
    try:
        os.replace(written, backup)
    except OSError:
        written.unlink(missing_ok=True)
        raise
    return backup


def _written(file: Path, text: str) -> Path:
    """A new file beside it that holds the text, on the disk, for this user alone."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}.tmp")
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _OURS)
    try:
        with os.fdopen(opened, "wb") as content:
            content.write(text.encode("utf-8"))
            content.flush()
            os.fsync(content.fileno())
    except BaseException:  # an interruption, too, leaves no half of a file behind
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _like(temporary: Path, state: os.stat_result | None, *, private: bool) -> None:
    """With the mode and the owner that the file has, or a new one shall have."""
    if state is not None:
        mine = os.stat(temporary)
        if sys.platform != "win32" and (mine.st_uid, mine.st_gid) != (state.st_uid, state.st_gid):
            os.chown(temporary, state.st_uid, state.st_gid)
        os.chmod(temporary, stat.S_IMODE(state.st_mode))
    elif not private:
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)


def _refuse_changed(before: Read) -> None:
    was, now = before.state, None
    with suppress(FileNotFoundError):
        now = os.lstat(before.file)
    if was is None and now is None:
        return
    if was is None or now is None or _version(now) != _version(was):
        raise NotDone(f"{before.file}: another program changed it meanwhile; nothing was written, run this again")


def _version(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns


def _settle(folder: Path) -> None:
    """The new name on the disk, where folders can be opened."""
    if sys.platform == "win32":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
