"""The machine a host runs on, as far as its files need it: pure, so that each platform can be looked at from any
other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, TypeAlias

from paperspace_storage_server.commands.hosts.not_done import NotDone

System: TypeAlias = Literal["linux", "macos", "windows"]


@dataclass(frozen=True, slots=True)
class Computer:
    """A platform, a person's home on it, and the environment. `store_apps` are the folders in which Windows keeps what
    apps from its store write, one an app."""

    system: System
    home: PurePath
    environ: Mapping[str, str]
    store_apps: tuple[PurePath, ...] = ()

    def folder(self, variable: str, *default: str) -> PurePath:
        """The absolute path that a variable holds, else one below the home."""
        given = self.environ.get(variable, "")
        path = type(self.home)(given)
        return path if given and path.is_absolute() else self.home.joinpath(*default)

    def application_data(self) -> PurePath:
        """Where desktop programs of this platform keep what a person configures."""
        if self.system == "macos":
            return self.home / "Library" / "Application Support"
        if self.system == "windows":
            return self.folder("APPDATA", "AppData", "Roaming")
        return self.folder("XDG_CONFIG_HOME", ".config")


def this_computer() -> Computer:
    """This machine, for this user. Raises `NotDone` without a home directory."""
    try:
        home = Path.home()
    except RuntimeError:
        raise NotDone("HOME: not set, and this user has no home directory; set it") from None
    system = _system()
    computer = Computer(system, home, dict(os.environ))
    if system != "windows":
        return computer
    packages = Path(computer.folder("LOCALAPPDATA", "AppData", "Local")) / "Packages"
    return Computer(system, home, computer.environ, tuple(sorted(packages.glob("Claude_*"))))


def _system() -> System:
    if sys.platform == "darwin":
        return "macos"
    return "windows" if sys.platform == "win32" else "linux"
