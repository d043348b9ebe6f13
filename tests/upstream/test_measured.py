"""Each request to the API is told of as it ended: how long it took, and nothing that it carried."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from paperspace_storage_server.http.measured import Exchanged, Measured
from paperspace_storage_server.http.transport import RawAnswer

pytestmark = pytest.mark.anyio
SENT = {"Authorization": "Bearer k"}


class Takes:
    """A transport that answers, or fails, after so many seconds by the clock."""

    def __init__(self, says: RawAnswer | Exception, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says, self.seconds, self.now = says, seconds, 10.0
        self.asked: list[object] = []
        self.closed = 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        self.asked.append((method, url, headers, content, on_wire))
        self.now += self.seconds
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def aclose(self) -> None:
        self.closed += 1


def nothing() -> None:
    """Nobody asks when the first byte goes out."""


@pytest.mark.parametrize("base_url", ["https://api.invalid/v1", "https://api.invalid/v1/"])
async def test_a_request_is_told_of_with_its_template_its_status_and_its_seconds(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Exchanged] = []
    inner = Takes(RawAnswer(404, "a/b", "7", b"secret"), 25.0, monkeypatch)
    measured = Measured(inner, base_url, told.append)
    url = "https://api.invalid/v1/snapshots/ss1/restore?a=b"
    assert await measured.send("POST", url, SENT, b"{}", on_wire=nothing) is inner.says
    assert inner.asked == [("POST", url, SENT, b"{}", nothing)]
    assert told == [Exchanged("POST", "/snapshots/{id}/restore", 404, None, 25.0)]
    await measured.aclose()
    assert inner.closed == 1


async def test_a_request_without_an_answer_is_told_of_by_the_class_of_what_came_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Exchanged] = []
    inner = Takes(ConnectionResetError("with a secret"), 0.5, monkeypatch)
    with pytest.raises(ConnectionResetError):
        await Measured(inner, "https://api.invalid", told.append).send(
            "GET", "https://api.invalid/snapshots", SENT, None, on_wire=nothing
        )
    assert told == [Exchanged("GET", "/snapshots", None, "ConnectionResetError", 0.5)]
