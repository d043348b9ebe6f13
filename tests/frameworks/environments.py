"""An environment for each framework: made from the file that pins it, and made anew when that file changes.

Python's come from uv, Node's from npm. Knows nothing of what runs in them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

HERE: Final = Path(__file__).parent
SHARED: Final = ("scenario.py", "scenario.mjs", "steps.json")
_UV: Final = "uv==0.13.9"
_PATIENCE: Final = 900  # seconds, for one installation


class Environment(Protocol):
    """Where one framework runs."""

    def install(self) -> None:
        """Make it, unless it is there as it should be. Raises `subprocess.SubprocessError`."""

    def command(self) -> str:
        """What a person types to have the same."""
        ...

    def installed(self) -> str:
        """What is pinned, in its order, and for Python the MCP SDK that came with it."""
        ...

    def enter(self, work: Path) -> list[str]:
        """Let the code in this folder find its packages; what runs the stand-in there."""
        ...


def environment(name: str, places: Path) -> Environment:
    """The environment of the framework whose folder has this name, below `places`."""
    folder = (places / name).absolute()
    source = HERE / name
    pins = source / "requirements.txt"
    return Python(folder, pins) if pins.exists() else Node(folder, source / "package.json")


@dataclass(frozen=True)
class Python:
    """A virtual environment of the Python that runs this."""

    folder: Path
    pins: Path

    def install(self) -> None:
        if _is_made(self.folder, self.pins):
            return
        uv = self._uv()
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(self.folder)])
        _run([uv, "pip", "install", "--quiet", "--python", self._python, "--requirement", str(self.pins)])
        _made(self.folder, self.pins)

    def command(self) -> str:
        quoted = [f'"{pin}"' if "[" in pin else pin for pin in self._pinned()]
        return f"pip install {' '.join(quoted)}"

    def installed(self) -> str:
        asked = "import importlib.metadata as m; print(m.version('mcp'))"
        sdk = f"mcp=={_run([self._python, '-c', asked]).strip()}"
        return ", ".join(dict.fromkeys([*self._pinned(), sdk]))

    def enter(self, work: Path) -> list[str]:
        return [self._python, "stand_in.py"]

    def _pinned(self) -> list[str]:
        return self.pins.read_text(encoding="utf-8").split()

    @property
    def _python(self) -> str:
        return str(self.folder / "bin" / "python")

    def _uv(self) -> str:
        """Fetched once, into an environment of its own beside the others."""
        folder = self.folder.parent / "uv"
        uv = folder / "bin" / "uv"
        if not uv.exists():
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(folder / "bin" / "pip"), "install", "--quiet", _UV])
        return str(uv)


@dataclass(frozen=True)
class Node:
    """A folder with packages from npm, Node.js among them."""

    folder: Path
    pins: Path

    def install(self) -> None:
        if _is_made(self.folder, self.pins):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copy(self.pins, self.folder)
        quietly = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        _run(["npm", "install", *quietly], cwd=self.folder)
        _made(self.folder, self.pins)

    def command(self) -> str:
        return f"npm install {' '.join(self._pinned())}"

    def installed(self) -> str:
        return ", ".join(self._pinned())

    def enter(self, work: Path) -> list[str]:
        (work / "node_modules").symlink_to(self.folder / "node_modules")
        return [str(self.folder / "node_modules" / ".bin" / "node"), "stand_in.mjs"]

    def _pinned(self) -> list[str]:
        pinned: Mapping[str, str] = json.loads(self.pins.read_text(encoding="utf-8"))["dependencies"]
        return [f"{package}@{version}" for package, version in pinned.items()]


def _is_made(folder: Path, pins: Path) -> bool:
    stamp = folder / pins.name
    made = folder / "made"
    return made.exists() and stamp.exists() and stamp.read_bytes() == pins.read_bytes()


def _made(folder: Path, pins: Path) -> None:
    shutil.copy(pins, folder)
    (folder / "made").touch()


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=dict(os.environ), capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout
