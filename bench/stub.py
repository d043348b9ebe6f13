"""A fast, deterministic stub of the published API on 127.0.0.1: it must cost less than what is measured against it.

`python bench/stub.py` prints its port. Drives, and snapshots of which `?limit=N&after=ID` gives a page of 10,000.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

SNAPSHOTS = 10_000
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def drive(number: int) -> dict[str, object]:
    return {
        "id": f"sd{number:07}",
        "name": f"team-share-{number:03}",
        "size": 250,
        "region": "ny2",
        "privateNetworkId": f"ne{number % 7:07}",
        "dtCreated": "2026-03-04T05:06:07.000Z",
    }


def snapshot(number: int) -> dict[str, object]:
    return {
        "id": f"ss{number:07}",
        "machineId": f"ps{number % 13:07}",
        "name": f"nightly-{number:04}",
        "note": f"Automatic snapshot {number} before deploy",
        "storageSize": 53_687_091_200 + number * 1_048_576,
        "dtCreated": f"2026-{1 + number % 9:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00.000Z",
    }


def answer(method: str, target: str, body: bytes) -> tuple[int, object]:
    parts = urlsplit(target)
    kind, _, id = parts.path.strip("/").partition("/")
    if kind == "snapshots" and method == "GET":
        query = parse_qs(parts.query)
        first = int(query["after"][0][2:]) + 1 if "after" in query else 0
        last = min(SNAPSHOTS, first + int(query.get("limit", ["100"])[0]))
        return 200, [snapshot(number) for number in range(first, last)]
    if kind == "shared-drives" and method == "GET":
        return 200, drive(int(id[2:])) if id else [drive(number) for number in range(20)]
    if kind == "shared-drives" and method == "POST":
        return 201, {**drive(21), **json.loads(body)}
    return 404, {"code": "NOT_FOUND", "message": "no such thing"}


class Stub(asyncio.Protocol):
    """Just enough HTTP/1.1: keep-alive, Content-Length."""

    _kept: ClassVar[dict[tuple[str, str], bytes]] = {}

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer[:end])
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            method, target, _ = self._buffer[: self._buffer.index(b"\r\n")].decode().split(" ", 2)
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._transport.write(self._response(method, target, body))

    def _response(self, method: str, target: str, body: bytes) -> bytes:
        key = (method, target)
        if method != "GET" or key not in self._kept:
            status, value = answer(method, target, body)
            content = json.dumps(value, separators=(",", ":")).encode()
            head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
            if method != "GET" or len(self._kept) > 500:
                return head.encode() + content
            self._kept[key] = head.encode() + content
        return self._kept[key]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
