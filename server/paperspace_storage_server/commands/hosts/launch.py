"""What starts this installation, for as long as it is installed; and whether an entry starts it, or this
server at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from paperspace_storage_server.commands.hosts.not_done import NotDone

NAME: Final = "paperspace-storage-mcp"
_MODULE: Final = "paperspace_storage_server"
_SCRIPT: Final = f"{NAME}.exe" if sys.platform == "win32" else NAME
_SAID: Final = re.compile(rf"(?<![\w.-]){NAME}(?![\w-])")
_REQUIRED: Final = re.compile(rf"{NAME}(?:\[[\w,-]*\])?(?:(?:@|[=<>~!]=?).*)?")
_RUNNERS: Final = ("uvx", "uv", "pipx")
_ENGINES: Final = ("docker", "podman")
_IMAGE: Final = re.compile(rf"(?:[\w.-][\w.:-]*/)*{NAME}(?:[:@].*)?")
_SHELLS: Final = ("sh", "bash", "zsh", "dash", "cmd", "pwsh", "powershell")
_PYTHON: Final = re.compile(r"(?:python|pythonw|pypy|py)[\d.]*")

Words: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this program stands: its interpreter, its environment, its script if it has one, what it was made
    from."""

    python: Path
    prefix: Path
    script: Path | None
    source: str | None  # what `uvx --from` takes where the name alone does not do; None where it does
    cached: Path | None  # the cache that it stands in, which may be emptied at any time
    temporary: Path | None  # the folder for temporary files that it stands in
    uvx: str | None  # on the PATH

    def command(self) -> Words:
        """What a host should start.

        Raises:
            NotDone: there is nothing that would still be there after a cache is emptied.
        """
        if self.cached is not None:
            if self.uvx is None:
                raise NotDone(
                    f"this installation stands in a cache ({self.cached}), which may be emptied at any time; install "
                    f"it to stay, with `uv tool install {NAME}` or `pipx install {NAME}`, and run that one's `install`"
                )
            if self.source is not None and os.path.isabs(self.source) and not os.path.exists(self.source):
                raise NotDone(
                    f"this installation was made from {self.source}, which is gone; install it to stay, from there"
                )
            source = ("--from", self.source) if self.source else ()
            return (self.uvx, *source, NAME, "serve")
        if self.script is not None:
            return (str(self.script), "serve")
        return (str(self.python), "-m", _MODULE, "serve")

    def starts(self, command: Words) -> Words | None:
        """The command by which an entry that starts this very installation can be started; None for any other."""
        program, rest = command[0], command[1:]
        found = Path(shutil.which(program) or program)
        if self.script is not None and found.is_absolute() and _same(found, self.script):
            return (str(self.script), *rest)
        if found.is_absolute() and _same_interpreter(found, self.python) and rest[:2] == ("-m", _MODULE):
            return (str(self.python), *rest)
        if self.cached is not None and self.uvx is not None and command[: len(own := self.command()) - 1] == own[:-1]:
            return (str(self.python), "-m", _MODULE, *command[len(own) - 1 :])
        return None


def this_installation(environ: Mapping[str, str]) -> Installation:
    """Looked up on this machine."""
    prefix = Path(sys.prefix)
    script = Path(sysconfig.get_path("scripts")) / _SCRIPT
    cached = _cache_above(prefix, environ)
    return Installation(
        python=Path(sys.executable),
        prefix=prefix,
        script=script if script.is_file() else None,
        source=source_of(_direct_url()),
        cached=cached,
        temporary=None if cached else _temporary_above(prefix),
        uvx=_uvx(environ),
    )


def runs_this_server(command: Words) -> bool:
    """Whether an entry starts some installation of this server, as far as its words say."""
    program, rest = _base(command[0]), command[1:]
    if program == NAME:
        return True
    module = any(rest[at : at + 2] == ("-m", _MODULE) for at in range(len(rest)))
    if program in _RUNNERS:
        return module or any(_REQUIRED.fullmatch(word) for word in rest)
    if program in _ENGINES:
        return any(_IMAGE.fullmatch(word) for word in rest)
    if _PYTHON.fullmatch(program):
        return module or (bool(rest) and _base(rest[0]) == NAME)
    return program in _SHELLS and any(_SAID.search(word) for word in rest)


def serves(command: Words) -> bool:
    """Whether what follows the program is `serve` or nothing but flags: no other command is started to look at it."""
    rest = command[3:] if command[1:3] == ("-m", _MODULE) else command[1:]
    return not rest or rest[0] == "serve" or (rest[0].startswith("-") and rest[0] not in ("-h", "--help", "--version"))


def _base(word: str) -> str:
    name = PureWindowsPath(word).name if "\\" in word else PurePosixPath(word).name
    return re.sub(r"\.(?:exe|cmd|bat)$", "", name, flags=re.IGNORECASE)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.resolve(strict=True) == other.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return False


def _same_interpreter(one: Path, other: Path) -> bool:
    """The same file in the same environment: the interpreters of all environments are links to one file."""
    return _same(one, other) and _same(one.parent, other.parent)


def _cache_above(prefix: Path, environ: Mapping[str, str]) -> Path | None:
    """uv and pip mark their caches; pipx keeps what it runs once in folders named so."""
    for folder in prefix.resolve().parents:
        if (folder / "CACHEDIR.TAG").is_file() or folder.name in (".cache", "Caches"):
            return folder
    named = [environ.get(variable) for variable in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME")]
    return next((Path(one) for one in named if one and prefix.resolve().is_relative_to(Path(one).resolve())), None)


def _temporary_above(prefix: Path) -> Path | None:
    folder = Path(tempfile.gettempdir())
    return folder if prefix.resolve().is_relative_to(folder.resolve()) else None


def _uvx(environ: Mapping[str, str]) -> str | None:
    """Its whole path, since a host started from a desktop has a shorter PATH; its name where that would not stay."""
    beside = Path(environ["UV"]).with_name("uvx.exe" if sys.platform == "win32" else "uvx") if "UV" in environ else None
    found = shutil.which("uvx", path=environ.get("PATH")) or (
        str(beside) if beside and os.access(beside, os.X_OK) else None
    )
    if found is None:
        return None
    path = Path(os.path.abspath(found))
    return "uvx" if _cache_above(path, environ) or _temporary_above(path) else str(path)


def _direct_url() -> str | None:
    try:
        return distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None


def source_of(direct_url: str | None) -> str | None:
    """What a package was installed from, as `uvx --from` takes it, by its `direct_url.json` (PEP 610); None for an
    index, and for a text that is not of that form."""
    try:
        described = json.loads(direct_url or "{}")
        url = str(described.get("url", ""))
        if "vcs_info" in described:
            return f"{described['vcs_info']['vcs']}+{url}@{described['vcs_info']['commit_id']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not url.startswith("file:"):
        return url or None
    path = unquote(urlsplit(url).path)
    return path[1:] if re.match(r"/[A-Za-z]:/", path) else path  # file:///C:/x


def shown(words: Sequence[str]) -> str:
    """A command as it may be shown: what sets something, or is long, may hold a secret."""
    return " ".join("[hidden]" if "=" in word or len(word) > 200 else word for word in words)
