"""What the packages say about this server, read from the three files where it stands; knows no package format."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSION_FILE = Path("server/paperspace_storage_server/__init__.py")
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """One thing a person may be asked for on installing: all are optional, as the server starts without any."""

    key: str
    variable: str
    title: str
    description: str
    secret: bool = False
    boolean: bool = False

    @property
    def default(self) -> bool | str:
        return False if self.boolean else ""


@dataclass(frozen=True)
class Facts:
    version: str
    name: str
    """Of the distribution and of its command."""
    description: str
    license: str
    keywords: list[str]
    requires_python: str
    dependencies: list[str]
    owner: str
    server: str
    title: str
    summary: str
    author: str
    documentation: str
    privacy_of_the_api: str
    color: str
    prompts: list[str]
    settings: list[Setting]
    repository_name: str

    @property
    def repository(self) -> str:
        return f"https://github.com/{self.owner}/{self.repository_name}"

    @property
    def registry_name(self) -> str:
        """The name in the MCP registry, which lets the owner of a GitHub account publish under `io.github.ACCOUNT`."""
        return f"io.github.{self.owner}/{self.name}"

    @property
    def privacy(self) -> str:
        return f"{self.repository}/blob/main/PRIVACY.md"

    @property
    def icon(self) -> str:
        return f"https://raw.githubusercontent.com/{self.owner}/{self.repository_name}/main/packages/icon.png"

    @property
    def image(self) -> str:
        return f"ghcr.io/{self.owner}/{self.name}"

    @property
    def bundle(self) -> str:
        """The file name of the bundle."""
        return f"{self.name}-{self.version}.mcpb"

    def released(self, file: str) -> str:
        """Where the release page serves a file."""
        return f"{self.repository}/releases/download/v{self.version}/{file}"

    @property
    def uvx(self) -> list[str]:
        """The arguments of `uvx` that start exactly this version."""
        return [f"{self.name}=={self.version}"]


def read(root: Path = ROOT) -> Facts:
    """The facts of the checkout at `root`."""
    found = _VERSION.search((root / VERSION_FILE).read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f'no line __version__ = "..." in {VERSION_FILE}')
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = tomllib.loads((root / "packages/facts.toml").read_text(encoding="utf-8"))
    return Facts(
        version=found[1],
        name=project["name"],
        description=project["description"],
        license=project["license"],
        keywords=project["keywords"],
        requires_python=project["requires-python"],
        dependencies=project["dependencies"],
        repository_name=said.pop("repository"),
        settings=[Setting(**setting) for setting in said.pop("settings")],
        **{name.replace("-", "_"): value for name, value in said.items()},
    )


def set_version(version: str, root: Path = ROOT) -> None:
    """Write the version to the one place where it is kept.

    Raises: ValueError for what is not a plain `1.2.3` (or `1.2.3rc1`), which every format here accepts.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", version):
        raise ValueError(f"{version!r} is no version like 1.2.3")
    path = root / VERSION_FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(_VERSION.sub(f'__version__ = "{version}"', text, count=1), encoding="utf-8")
