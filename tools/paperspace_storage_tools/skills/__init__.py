"""The Agent Skills that come with the tools, as data. Knows no protocol and no place to write them to.

A skill is a folder beside this module, in the form of the Agent Skills specification (agentskills.io). Its files are
data of the package, read once. `requires-tools` in the frontmatter's metadata names the tools without which a skill
cannot be carried out; others that its text mentions are of use, not needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from paperspace_storage_tools.skills.frontmatter import Frontmatter, split

NAMES: Final = (
    "paperspace-storage",
    "before-upgrade",
    "restore-machine",
    "clean-up-snapshots",
    "rotate-provider-keys",
    "storage-review",
)
ENTRY: Final = "SKILL.md"


@dataclass(frozen=True, slots=True)
class SkillFile:
    """One file of a skill. `path` is relative to the skill's folder, with `/`."""

    path: str
    content: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, 64 lower-case hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill: what its frontmatter says, its text without that, and all its files, `SKILL.md` first."""

    name: str
    frontmatter: Frontmatter
    body: str
    files: tuple[SkillFile, ...]

    @property
    def description(self) -> str:
        return str(self.frontmatter["description"])

    @property
    def requires(self) -> frozenset[str]:
        """The tools without which this skill cannot be carried out."""
        metadata = self.frontmatter.get("metadata", {})
        return frozenset(metadata.get("requires-tools", "").split()) if isinstance(metadata, dict) else frozenset()

    @property
    def title(self) -> str:
        """The first heading of its text."""
        return self.body.lstrip().splitlines()[0].removeprefix("# ")


@cache
def skills() -> tuple[Skill, ...]:
    """All skills, the general one first."""
    return tuple(_read(name) for name in NAMES)


def honoured(tools: Collection[str]) -> tuple[Skill, ...]:
    """The skills that can be carried out with these tools."""
    return tuple(skill for skill in skills() if skill.requires <= set(tools))


def _read(name: str) -> Skill:
    found = sorted(_walk(files(__name__) / name), key=lambda file: (file.path != ENTRY, file.path))
    frontmatter, body = split(found[0].text)
    return Skill(name, frontmatter, body, tuple(found))


def _walk(folder: Traversable, prefix: str = "") -> Iterator[SkillFile]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield SkillFile(prefix + entry.name, entry.read_bytes())
