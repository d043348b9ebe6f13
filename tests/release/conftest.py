"""What `make dist` makes in a fresh clone, and the hosts that try the plugin: each once a session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.installed import Built, Hosts, bare_environment, run

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("clone")
    env = bare_environment(folder)
    clone = folder / "clone"
    run("git", "clone", "--quiet", ROOT, clone, env=env, cwd=folder)
    run("make", "dist", env=env, cwd=clone, within=500)
    return Built(clone / "dist", clone / ".venv" / "bin")


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """What the lock in this folder pins, without running any package's install script."""
    with TemporaryDirectory(prefix="hosts-") as name:
        folder = Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(HERE / file, folder)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run(*install, env=bare_environment(folder), cwd=folder, within=400)
        yield Hosts(folder)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path
