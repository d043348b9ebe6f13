"""What every test needs: asyncio as anyio's backend, and a home of its own, so that nobody's settings are read."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# That a machine is busy is no failure of what runs on it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# What a shell runs in the background ignores SIGINT, and so would each server that is started here and ended by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

_CACHES = {"PIP_CACHE_DIR": "pip", "UV_CACHE_DIR": "uv", "npm_config_cache": "npm"}


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    """An empty home for this process and those it starts. Package caches stay where they are: they hold no settings."""
    cache = Path.home() / ".cache"
    before = dict(os.environ)
    for variable, folder in _CACHES.items():
        os.environ.setdefault(variable, str(cache / folder))
    for variable in [name for name in os.environ if name.startswith("PAPERSPACE_")]:
        del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="home-", ignore_cleanup_errors=True) as home:
        os.environ["HOME"] = home
        yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
