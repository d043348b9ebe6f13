"""Files written for a person: whole or not at all, and never through a link. Knows nothing of what stands in them."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path


class CannotWrite(Exception):
    """A file that was left as it is, and why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")


def refuse_links(path: Path, *, below: Path | None = None) -> None:
    """See that nothing on the way is a link: the path itself and, with `below`, each folder from there on.

    Raises:
        CannotWrite: naming the link.
    """
    ways = [path]
    if below is not None:
        ways += [below / part for part in path.relative_to(below).parents]
    for way in ways:
        if way.is_symlink() or (sys.version_info >= (3, 12) and way.is_junction()):
            raise CannotWrite(way, "is a link; give the place that it leads to")


def put(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write the file, in the place of an earlier one, with these permissions whatever the umask allows more.

    Raises:
        CannotWrite: a link, no plain file, or what the system says.
    """
    refuse_links(path)
    if path.exists() and not path.is_file():
        raise CannotWrite(path, "is no plain file")
    # A name of its own, opened only if it is new: whoever can write into the folder cannot put a link in its place.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotWrite(path, error.strerror or type(error).__name__) from None
