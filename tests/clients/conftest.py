"""The clients are installed once a session, and the folder goes away with it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.clients import Clients, install


@pytest.fixture(scope="session")
def clients() -> Generator[Clients]:
    with TemporaryDirectory(prefix="clients-") as folder:
        yield install(Path(folder))
