"""An emulated API in each dialect, in memory, with a clock that stands still."""

from collections.abc import Iterator

import pytest

from .calls import Api, Clock, Dialect, open_api


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _opened(dialect: Dialect, clock: Clock) -> Iterator[Api]:
    api = open_api(dialect, clock)
    yield api
    api.app.state.close()


@pytest.fixture
def published(clock: Clock) -> Iterator[Api]:
    yield from _opened("published", clock)


@pytest.fixture
def live(clock: Clock) -> Iterator[Api]:
    yield from _opened("live", clock)


@pytest.fixture(params=["published", "live"])
def api(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Api]:
    yield from _opened(request.param, clock)
