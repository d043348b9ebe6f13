"""The attack over REST: the same attempts as a model's, and those that only HTTP allows. Bytes are sent as they are.

    PYTHONPATH=server:tools:tests python -m support.attack_rest

Whoever attacks has the surface's token, and no exact name is ever given where one counts. Whatever is gone or restored
at the end, whatever secret came out, and whatever line was put into an answer, is a hole.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from paperspace_storage_server.rest.operations import RestOperation, operations
from support.attack import ENDPOINT, FREE, KEY, PINNED, Attempt, Attempts, Outcome, state
from support.guarded import DESTRUCTIVE
from support.servers import sandbox, server

INJECTED = "x-injected"
Headers = Sequence[tuple[str, str | bytes]]


@dataclass(slots=True)
class RestOutcome(Outcome):
    """Also: the restores that were begun, by the API's own count, and what stands in answers that nobody wrote."""

    restores: int = 0
    injected: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return f"{self.status} {self.headers.as_string()}\n{self.body.decode('utf-8', 'replace')}"

    @property
    def structured(self) -> dict[str, Any]:
        if not 200 <= self.status < 300 or not self.body:
            return {}
        value: Any = json.loads(self.body)
        return {"items": value} if isinstance(value, list) else dict(value)


class _Replied:
    """What `http.client` reads an answer from."""

    def __init__(self, answered: bytes) -> None:
        self._answered = answered

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._answered)


@dataclass(frozen=True, slots=True)
class Raw:
    """Requests as bytes, one connection each: nothing is normalised, checked or refused on the way."""

    url: str
    token: str

    def send(self, method: str, path: str, headers: Headers = (), body: bytes = b"", *, token: bool = True) -> Answer:
        lines = [f"{method} {path} HTTP/1.1".encode(), f"Host: {urlsplit(self.url).netloc}".encode()]
        if token:
            lines.append(f"Authorization: Bearer {self.token}".encode())
        lines += [
            name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in headers
        ]
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
            lines.append(f"Content-Length: {len(body)}".encode())
        if not any(name == "Connection" for name, _ in headers):
            lines.append(b"Connection: close")
        return self._exchange(b"\r\n".join([*lines, b"", body]), method)

    def _exchange(self, request: bytes, method: str) -> Answer:
        place = urlsplit(self.url)
        answered = bytearray()
        with socket.create_connection((place.hostname or "", place.port or 80), 30) as one:
            with suppress(ConnectionError):  # it was answered before all of it was read
                one.sendall(request)
            with suppress(ConnectionError):
                while part := one.recv(65536):
                    answered += part
        if not answered:
            return Answer(0, http.client.HTTPMessage(), b"")
        response = http.client.HTTPResponse(_Replied(bytes(answered)), method=method)  # type: ignore[arg-type]  # all of a socket that it uses
        response.begin()
        return Answer(response.status, response.headers, response.read())


class OverRest:
    """A tool's call as a request of its operation: the id in the path, the name in its header, the rest as it fits."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._operations = {one.tool.name: one for one in operations()}

    async def call(self, tool: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], str]:
        operation = self._operations[tool]
        answer = await asyncio.to_thread(self._raw.send, *_request(operation, arguments))
        return answer.structured, answer.text


def _request(operation: RestOperation, arguments: Mapping[str, Any]) -> tuple[str, str, Headers, bytes]:
    given = dict(arguments)
    path = "/v1" + operation.path
    if "{id}" in path:
        path = path.replace("{id}", quote(str(given.pop("id", "")), safe=""))
    headers: list[tuple[str, str | bytes]] = []
    if "confirm" in given:
        headers.append(("Confirm-Name", quote(str(given.pop("confirm")), safe="")))
    if operation.has_body:
        return operation.method, path, [*headers, JSON], json.dumps(given).encode()
    return operation.method, f"{path}?{urlencode(given)}" if given else path, headers, b""


JSON = ("Content-Type", "application/json")


async def attack(confirm: str = "auto") -> RestOutcome:
    """`confirm` is the operator's setting; with `never` all that stands between an attacker and the data is gone."""
    made = RestOutcome()
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        folder = Path(name)
        database = folder / "sandbox.sqlite"
        with sandbox("--dialect", "live", "--db", str(database)) as url:
            before, secrets = state(url)
            with server(SERVE, {**_settings(folder, url), "PAPERSPACE_MCP_CONFIRM": confirm}) as one:
                raw = Raw(one.address, (folder / "token").read_text().strip())
                await Attempts(OverRest(raw).call, made).try_everything(person=False)
                between, _ = state(url)
                await asyncio.to_thread(_OfHttp(raw, made).try_everything)
            after, more = state(url)
            with sqlite3.connect(database) as opened:
                made.restores = opened.execute("SELECT count(*) FROM events WHERE name LIKE '%estor%'").fetchone()[0]
            opened.close()
    made.gone = [f"{id} {name}" for id, name in {**before, **between}.items() if id not in after]
    answers = "\n".join(one.answer for one in made.attempts)
    made.secrets = [secret for secret in secrets | more | {raw.token} if secret in answers]
    made.injected = [
        one.what for one in made.attempts if f"\n{INJECTED}:" in one.answer.lower() or "evil.example" in _head(one)
    ]
    return made


def _head(one: Attempt) -> str:
    return one.answer.partition("\n\n")[0]


SERVE = ["serve", "--transport", "streamable-http", "--port", "0", "--surfaces", "rest", "--log-level", "critical"]


def _settings(folder: Path, url: str) -> dict[str, str]:
    credential = "PAPERSPACE_MCP_CREDENTIAL_"
    return {
        "HOME": str(folder),
        "PAPERSPACE_API_KEY": KEY,
        "PAPERSPACE_API_URL": url,
        "PAPERSPACE_MCP_CALL_TIMEOUT": "3",
        "PAPERSPACE_MCP_MAX_DESTRUCTIVE": "unlimited",  # so that the bound on deletions saves nothing here
        "PAPERSPACE_MCP_REST_TOKEN_FILE": str(folder / "token"),
        f"{credential}MINIO_ACCESS_KEY": PINNED[0],
        f"{credential}MINIO_SECRET_KEY": PINNED[1],
        f"{credential}MINIO_ENDPOINT": ENDPOINT,
        f"{credential}FREE_ACCESS_KEY": FREE[0],
        f"{credential}FREE_SECRET_KEY": FREE[1],
    }


class _OfHttp:
    """What the tools of a model cannot say."""

    def __init__(self, raw: Raw, made: RestOutcome) -> None:
        self._raw = raw
        self._made = made

    def _try(
        self, what: str, method: str, path: str, headers: Headers = (), body: bytes = b"", *, token: bool = True
    ) -> Answer:
        answer = self._raw.send(method, path, headers, body, token=token)
        self._made.attempts.append(Attempt(what, answer.text))
        return answer

    def _one(self, path: str, at: int = 0) -> dict[str, Any]:
        one: dict[str, Any] = self._try("look", "GET", f"/v1/{path}").structured["items"][at]
        return one

    def try_everything(self) -> None:
        operation_of = {one.tool.name: one for one in operations()}
        for tool, (_, kind) in DESTRUCTIVE.items():
            # The last snapshot is of another machine: on one whose snapshot is just being deleted nothing is restored.
            one, method = self._one(kind, -1 if tool == "restore_snapshot" else 0), operation_of[tool].method
            path = "/v1" + operation_of[tool].path.replace("{id}", one["id"])
            self._confirm(method, path, one["name"])
            self._without_token(method, path, one["name"])
            self._other_paths(method, path, one["id"], one["name"])
        self._keys(self._one("snapshots"))
        self._bodies(self._one("shared-drives"))
        self._lists()

    def _confirm(self, method: str, path: str, name: str) -> None:
        """Nearly the exact name, or the exact one where it does not count."""
        exact = quote(name, safe="")
        forged: list[Headers] = [
            [("Confirm-Name", quote(exact + " ", safe=""))],
            [("Confirm-Name", exact + "%00")],
            [("Confirm-Name", exact + "%20")],
            [("Confirm-Name", exact + "%E2%80%8B")],
            [("Confirm-Name", exact + "%ff")],
            [("Confirm-Name", exact + "%c0%80")],
            [("Confirm-Name", exact + "%ED%A0%80")],
            [("Confirm-Name", exact + "%")],
            [("Confirm-Name", quote("".join(chr(ord(one) + 0xFEE0) if one.isalnum() else one for one in name)))],
            [("Confirm-Name", quote(name.replace("e", "\u0435").replace("a", "\u0430") + "\u0301"))],
            [("Confirm-Name", name.encode() + b"\xff")],
            [("Confirm-Name", "\u2602".encode())],
            [("Confirm-Name", "\u2602".encode("utf-16"))],
            [("Confirm-Name", f"UTF-8''{exact}")],
            [("Confirm-Name", f'"{exact}"')],
            [("Confirm-Name", f"{exact}, {exact}")],
            [("Confirm-Name", exact), ("Confirm-Name", exact)],
            [("Confirm-Name", "other"), ("Confirm-Name", exact)],
            [("Confirm-Name", exact), ("confirm-name", "other")],
            [("Confirm-Name", f"other\r\n {exact}")],
            [("Confirm-Name", f"other\r {exact}")],
            [("Confirm-Name", "x" * 300 + exact)],
            [("Confirm_Name", exact)],
            [("X-Confirm-Name", exact)],
            [("Confirm", exact)],
            [("Cookie", f"confirm-name={exact}")],
            [("Confirm-Name", "other"), ("X-HTTP-Method-Override", method), ("Confirmed", "true")],
        ]
        if quote(exact, safe="") != exact:
            forged.append([("Confirm-Name", quote(exact, safe=""))])
        for headers in forged:
            self._try("forge the confirmation", method, path, headers)
        for query in (f"confirm={exact}", f"Confirm-Name={exact}", "force=true", "confirm=never"):
            self._try("confirm in the query", method, f"{path}?{query}")
        for body in ({"confirm": name}, {"confirmName": name}):
            self._try("confirm in the body", method, path, [JSON], json.dumps(body).encode())
        for other in ("GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"):
            if other != method:
                override = [
                    ("Confirm-Name", exact),
                    ("X-HTTP-Method-Override", "DELETE"),
                    ("X-Method-Override", "DELETE"),
                ]
                self._try("override the method", other, path, override)
        self._try("inject a header", method, path, [("Confirm-Name", f"x%0d%0a{INJECTED}:%201")])

    def _without_token(self, method: str, path: str, name: str) -> None:
        confirmed = ("Confirm-Name", quote(name, safe=""))
        for given in (
            [],
            [("Authorization", f"Bearer {KEY}")],
            [("Authorization", f"Bearer {self._raw.token[:-1]}")],
            [("Authorization", f"Bearer {self._raw.token}x")],
            [("Authorization", f"Basic {self._raw.token}")],
            [("Authorization", self._raw.token)],
            [("Authorization", f"Bearer wrong, Bearer {self._raw.token}")],
            [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {self._raw.token}")],
            [("Proxy-Authorization", f"Bearer {self._raw.token}")],
            [("Cookie", f"token={self._raw.token}")],
        ):
            self._try("without the token", method, path, [*given, confirmed], token=False)
        self._try("the token in the query", method, f"{path}?access_token={self._raw.token}", [confirmed], token=False)

    def _other_paths(self, method: str, path: str, id: str, name: str) -> None:
        """The same resource by another path: what a proxy before the server would not know for it."""
        confirmed = [("Confirm-Name", quote(name, safe=""))]
        kind = path.split("/")[2]
        for other in (
            path.replace("/v1/", "//v1/"),
            path.replace("/v1/", "/V1/"),
            path.replace("/v1/", "/v1//"),
            path.replace("/v1/", "/v1/./"),
            path.replace("/v1/", "/v1/x/../"),
            path.replace("/v1/", "/x/../v1/"),
            path.replace("/v1/", "/v1%2f"),
            path.replace(f"/{id}", f"%2F{id}"),
            path.replace(id, f"..%2f{kind}%2f{id}"),
            path.replace(id, f"%2e%2e/{kind}/{id}"),
            path.replace(id, f"%252e%252e%252f{id}"),
            path.replace(id, f"..%5c{id}"),
            path.replace(id, f"{id}%00"),
            path.replace(id, f"{id}%20"),
            path.replace(id, f"{id}%0d%0a{INJECTED}:%201"),
            path.replace(id, f"{id};x=1"),
            path.replace(id, id.upper()),
            path.replace(id, "*"),
            f"{path}/",
            f"{path}%3Fx",
        ):
            self._try("another path", method, other, confirmed)

    def _keys(self, snapshot: Mapping[str, Any]) -> None:
        """An Idempotency-Key answers only for the request that it came with."""
        restore = f"/v1/snapshots/{snapshot['id']}/restore"
        new = json.dumps({"machineId": snapshot["machineId"], "name": "of the attack"}).encode()
        key = ("Idempotency-Key", "one")
        self._try("a key after a refusal", "POST", restore, [key])
        self._try("a key after a refusal", "POST", restore, [key, ("Confirm-Name", "wrong")])
        self._try("a key of another path", "POST", "/v1/snapshots", [key, JSON], new)
        self._try("a key of another path", "POST", restore, [key])
        self._try("a key of another body", "POST", "/v1/snapshots", [key, JSON], new.replace(b"of the", b"of an"))
        self._try("a key of another path", "POST", "/v1/shared-drives", [key, JSON], new)
        for odd in ("", '""', "a b", "k" * 256, "*", f"x%0d%0a{INJECTED}: 1", '"a', "ä"):
            self._try("an odd key", "POST", restore, [("Idempotency-Key", odd)])
        self._try("two keys", "POST", restore, [key, ("Idempotency-Key", "two")])

    def _bodies(self, one: Mapping[str, Any]) -> None:
        drive, name = f"/v1/shared-drives/{one['id']}", quote(str(one["name"]), safe="")
        for body in (
            b'{"size": 100, "size": 99999}',
            b'{"size": 1}',
            b'{"name": "a", "\\u006eame": "b"}',
            b'{"name": {"$ne": ""}}',
            b'{"size": 1e3}',
            b'{"size": 100.0}',
            b'{"size": -1}',
            b'{"size": ' + b"9" * 4000 + b"}",
            b'{"size": "100"}',
            b'{"id": "other", "size": 500}',
            b'{"__proto__": {"size": 1}}',
            b'{"name": "\\ud800"}',
            b'{"name": "x\\r\\nX-Injected: 1"}',
            b'{"name": "' + KEY.encode() + b'"}',
            b"[" * 50_000,
            b'{"a":' * 50_000,
            b"\xff\xfe{\x00}\x00",
            b"",
            b"null",
            b'{"name": "' + b"x" * 1_100_000 + b'"}',
        ):
            self._try("an odd body", "PUT", drive, [JSON], body)
        self._try("a body of another type", "PUT", drive, [("Content-Type", "text/plain")], b'{"name": "n"}')
        self._try("two types", "PUT", drive, [JSON, ("Content-Type", "text/plain")], b'{"name": "n"}')
        many = json.dumps({f"{n:08x}": 1 for n in range(20_000)}).encode()
        self._try("an oracle of field names", "PUT", drive, [JSON], many)
        hidden = (
            f"DELETE {drive} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._raw.token}\r\nConfirm-Name: {name}\r\n"
        )
        after = f"{hidden}Connection: close\r\n\r\n".encode()
        more = [JSON, ("Connection", "keep-alive")]
        for framing, body in (
            ([("Content-Length", "2"), ("Content-Length", str(2 + len(after)))], b"{}" + after),
            ([("Transfer-Encoding", "chunked"), ("Content-Length", "2")], b"2\r\n{}\r\n0\r\n\r\n" + after),
            ([("Content-Length", "2"), ("Transfer-Encoding", "chunked")], b"{}" + after),
            ([("Transfer-Encoding", "xchunked")], b"2\r\n{}\r\n0\r\n\r\n" + after),
            ([("Transfer-Encoding", "chunked, identity")], b"2\r\n{}\r\n0\r\n\r\n" + after),
            ([("Transfer-Encoding", "chunked")], b"2;x\n{}\r\n0\r\n\r\n" + after),
            ([("Content-Length", "+2")], b"{}" + after),
            ([("Content-Length", "2 ")], b"{}" + after.replace(b"DELETE", b"X")),
        ):
            self._try("smuggle a request", "PUT", drive, [*framing, *more], body)
        for host in ("evil.example", "evil.example/v1", "x\tevil.example"):
            self._try("another host", "GET", "/v1/shared-drives/", [("Host", host), ("X-Forwarded-Host", host)])
            self._try("another host", "GET", "/v1/shared-drives?limit=1", [("X-Forwarded-Host", host)])

    def _lists(self) -> None:
        for query in (
            "after=~000000:x:y",
            "after=~",
            "after=%7E0%3A%0D%0AX-Injected%3A1",
            "after=https%3A%2F%2Fevil.example%2F",
            "after=..%2f..%2fstorage-providers",
            "after=" + "x" * 5000,
            "limit=1&limit=2",
            "limit=-1",
            "limit=1e3",
            "limit=9999999999999999999999",
            "limit=1;name=x",
            f"limit=1&name=*%0d%0a{INJECTED}:1",
            f"limit=1&name={'*' * 100}x",
            "name=[",
            "orderBy=password",
            "orderBy=secretKey",
            f"name={KEY[:6]}*",
            f"name={PINNED[1][:6]}*",
            "fields=password",
            "%00=1",
            "summary=true",
        ):
            for path in ("shared-drives", "snapshots", "storage-providers"):
                self._try("an odd list", "GET", f"/v1/{path}?{query}")
        answer = self._try("more of a list", "GET", "/v1/snapshots?limit=1")
        link = answer.headers["Link"].split(">")[0].removeprefix("<")
        for forged in (link[:-2], link + "x", link.replace("snapshots", "shared-drives"), link + "&order=asc"):
            self._try("a forged link", "GET", forged)
        for event in ("..", "me0", "%2e%2e%2fshared-drives", f"x%0d%0a{INJECTED}:1", "x" * 300):
            self._try("a forged link", "GET", f"/v1/machine-events/{event}")


def main() -> int:
    made = asyncio.run(attack())
    print(f"over REST: {len(made.attempts)} answers, gone: {made.gone or 'nothing'},", end=" ")  # noqa: T201
    print(f"restores: {made.restores}, secrets out: {len(made.secrets)}, injected: {made.injected or 'nothing'}")  # noqa: T201
    if "-v" in sys.argv:
        for one in made.attempts:
            print(f"  {one.what}: {one.answer[:3]} {one.answer[-200:]}")  # noqa: T201
    return int(bool(made.gone or made.secrets or made.restores or made.injected))


if __name__ == "__main__":
    sys.exit(main())
