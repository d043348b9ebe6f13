"""The command `skill`: the Agent Skills, listed, or written as folders for an agent that reads them from disk."""

from __future__ import annotations

import sys
import textwrap
from argparse import ArgumentParser, Namespace
from pathlib import Path


def add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="where to write them, one folder a skill (an agent's own place, such as ~/.claude/skills); "
        "without it they are listed (no variable)",
    )


def run(options: Namespace) -> int:
    from paperspace_storage_server.process.files import CannotWrite

    if options.folder is None:
        list_skills()
        return 0
    try:
        write_skills(options.folder)
    except CannotWrite as error:
        print(f"paperspace-storage-mcp: {error}", file=sys.stderr)
        return 1
    return 0


def list_skills() -> None:
    """Each skill's name, its bytes, the tools it needs, and when to use it."""
    from paperspace_storage_tools.skills import skills

    for skill in skills():
        needs = ", ".join(sorted(skill.requires)) or "no particular tool"
        print(f"{skill.name} ({len(skill.files)} files, {sum(file.size for file in skill.files):,} bytes)")
        print(textwrap.fill(skill.description, 100, initial_indent="    ", subsequent_indent="    "))
        print(f"    needs: {needs}\n")
    print("Write them as folders: paperspace-storage-mcp skill DIR")


def write_skills(folder: Path) -> None:
    """Write every file of every skill below `folder`, and say of each skill whether anything changed.

    Other files there are left alone. Nothing is written where a link stands in the way of any of them.

    Raises:
        CannotWrite: a link, or what the system says.
    """
    from paperspace_storage_server.process.files import CannotWrite, put, refuse_links
    from paperspace_storage_tools.skills import skills

    refuse_links(folder)
    for skill in skills():
        for file in skill.files:
            refuse_links(folder / skill.name / file.path, below=folder)
    for skill in skills():
        changed = 0
        for file in skill.files:
            path = folder / skill.name / file.path
            if path.is_file() and path.read_bytes() == file.content:
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CannotWrite(path.parent, error.strerror or type(error).__name__) from None
            put(path, file.content)
            changed += 1
        print(f"{skill.name}: {f'{changed} of {len(skill.files)} files written' if changed else 'unchanged'}")
