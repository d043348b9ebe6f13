"""Two teams of one hosted server, all of whose things carry a mark of their own, and what a member of one receives.

A visitor keeps every byte that comes back. `leaks` looks in them for what belongs to the other team.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import quote, unquote

Era: TypeAlias = Literal["legacy", "modern"]
ERAS: tuple[Era, ...] = ("legacy", "modern")
VERSIONS: dict[Era, str] = {"legacy": "2025-11-25", "modern": "2026-07-28"}
TASKS = "io.modelcontextprotocol/tasks"
TABLES = ("networks", "machines", "drives", "snapshots", "providers", "events")
_TYPED = {  # what people have typed, or the API has made up for one team alone
    "networks": ("name",),
    "machines": ("name",),
    "drives": ("name", "username", "password"),
    "snapshots": ("name", "note"),
    "providers": ("name", "bucket", "access_key", "secret_key"),
}
MARKS = {"research": "quokka", "ops": "narwhal"}
KEYS = {"RESEARCH_KEY": "pK0f3a9c71d2Wm58zeGh6", "OPS_KEY": "xR7b1d8e40f6Qn23tuVj9"}
TEAMS = """
[teams.quokka-research]
api-key-env = "RESEARCH_KEY"
members.subjects = ["anna-quokka", "both-of-us"]

[teams.narwhal-ops]
api-key-env = "OPS_KEY"
members.subjects = ["ben-narwhal", "both-of-us"]
"""


class Answer(Protocol):
    """What both HTTP clients answer with."""

    @property
    def status_code(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Client(Protocol):
    """What both HTTP clients can do."""

    async def request(
        self, method: str, url: str, *, content: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...


@dataclass
class Things:
    """What a team has: rows by table, each with all its columns."""

    mark: str
    key: str
    rows: dict[str, list[dict[str, Any]]]
    team_id: str

    def id(self, table: str, number: int = 0) -> str:
        return str(self.rows[table][number]["id"])

    def name(self, table: str, number: int = 0) -> str:
        return str(self.rows[table][number]["name"])

    @property
    def ids(self) -> dict[str, str]:
        """One id of each kind."""
        return {table: self.id(table) for table in TABLES if self.rows[table]} | {"teams": self.team_id}

    @property
    def words(self) -> frozenset[str]:
        """What none but this team may see: all its ids, and its mark, which stands in all that its people typed."""
        return frozenset({self.mark, self.key, self.team_id, *(one["id"] for of in self.rows.values() for one in of)})


def mark(db: Path, keys: Mapping[str, str]) -> None:
    """Write each team's mark into all that its people have typed. The sandbox knows the keys already."""
    with closing(sqlite3.connect(db, timeout=30)) as connection, connection:
        for word, key in keys.items():
            (team,) = connection.execute("SELECT id FROM teams WHERE key_hash = ?", [_hash(key)]).fetchone()
            for table, columns in _TYPED.items():
                for column in columns:
                    connection.execute(
                        f"UPDATE {table} SET {column} = coalesce({column}, '') || ? WHERE team = ? AND deleted IS NULL",
                        [f"-{word}-{table}", team],
                    )


def things(db: Path, word: str, key: str) -> Things:
    """What a team has at the moment."""
    with closing(sqlite3.connect(db, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        (team,) = connection.execute("SELECT id FROM teams WHERE key_hash = ?", [_hash(key)]).fetchone()
        rows = {
            table: [
                dict(row)
                for row in connection.execute(
                    f"SELECT * FROM {table} WHERE team = ? AND deleted IS NULL ORDER BY seq",
                    [team],
                )
            ]
            for table in TABLES
        }
    return Things(word, key, rows, team)


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Exchange:
    """One request and what came back."""

    what: str
    typed: str
    status: int
    came: str

    def told(self, words: Iterable[str]) -> set[str]:
        """Which of the words came back without having been typed, in any spelling that HTTP and JSON have."""
        texts = {self.came, unquote(self.came), _unescaped(self.came)}
        return {word for word in words if word not in self.typed and any(word in text for text in texts)}

    def shape(self) -> str:
        """What came, without what differs between any two answers and without what was typed."""
        return _plain(self.came, self.typed)


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text.replace("\\/", "/"))


def _plain(text: str, typed: str) -> str:
    for one in sorted(filter(None, typed.split("\n")), key=len, reverse=True):
        for spelled in {one, quote(one, safe=""), json.dumps(one)[1:-1]}:
            text = text.replace(spelled, "<typed>")
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    text = re.sub(r"\b(sd|ss|sp|ps|ne|ev|te|me)[0-9a-z]{9,}\b", "<id>", text)
    return re.sub(r"content-length: \d+", "content-length: <n>", text)


@dataclass
class Visitor:
    """Somebody with a token, who keeps what comes back. `path` is the endpoint's."""

    client: Client
    token: str
    path: str = "/mcp"
    base: str = ""
    host: str | None = None
    extensions: dict[str, Any] = field(default_factory=dict[str, Any])
    asks: bool = False
    session: str | None = None
    kept: list[Exchange] = field(default_factory=list[Exchange])

    async def send(
        self,
        method: str,
        path: str,
        *,
        typed: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        what: str = "",
    ) -> Exchange:
        """One request. `typed` is what of it may come back."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if self.host is not None:
            sent["Host"] = self.host
        answer = await self.client.request(method, self.base + path, content=body, headers=sent)
        shown = "".join(
            f"{name}: {value}\n"
            for name, value in answer.headers.items()
            if name.lower() not in ("date", "x-replica", "mcp-session-id", "server")
        )
        one = Exchange(
            what or f"{method} {path}",
            "\n".join(typed),
            answer.status_code,
            f"{answer.status_code}\n{shown}{answer.text}",
        )
        self.kept.append(one)
        if "mcp-session-id" in answer.headers:
            self.session = answer.headers["mcp-session-id"]
        return one

    async def rpc(
        self, era: Era, method: str, params: Mapping[str, Any] | None = None, *, typed: Iterable[str] = ()
    ) -> Exchange:
        """One request of MCP."""
        given: dict[str, Any] = dict(params or {})
        sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        sent["MCP-Protocol-Version"] = VERSIONS[era]
        if era == "modern":
            capabilities: dict[str, Any] = {"extensions": self.extensions} if self.extensions else {}
            if self.asks:
                capabilities["elicitation"] = {"form": {}}
            given["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": VERSIONS[era],
                "io.modelcontextprotocol/clientCapabilities": capabilities,
            }
            sent["Mcp-Method"] = method
            if "name" in given or "uri" in given or "taskId" in given:
                sent["Mcp-Name"] = str(given.get("name") or given.get("uri") or given["taskId"])
        elif self.session is not None and method != "initialize":
            sent["Mcp-Session-Id"] = self.session
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": given})
        return await self.send(
            "POST", self.path, typed=typed, headers=sent, body=body, what=f"{era} {method} {json.dumps(params)}"
        )

    async def begin(self) -> None:
        """A session of the older era; stateless servers give no id."""
        hello = {"protocolVersion": VERSIONS["legacy"], "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        assert (await self.rpc("legacy", "initialize", hello)).status == 200

    async def call(
        self, era: Era, tool: str, arguments: Mapping[str, Any], *, typed: Iterable[str] = (), **more: Any
    ) -> Exchange:
        return await self.rpc(era, "tools/call", {"name": tool, "arguments": dict(arguments), **more}, typed=typed)

    async def rest(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        typed: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        content = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json"} if content is not None else {}
        return await self.send(method, f"/v1{path}", typed=typed, headers={**sent, **(headers or {})}, body=content)

    def leaks(self, words: Collection[str]) -> list[tuple[str, set[str]]]:
        """Each answer in which something of the other team stands, and what."""
        return [(one.what, told) for one in self.kept if (told := one.told(words))]


def result(one: Exchange) -> dict[str, Any]:
    """The JSON-RPC message of an answer, of a stream too."""
    body = one.came.split("\n")
    text = next((line[6:] for line in body if line.startswith("data: {")), body[-1])
    message: dict[str, Any] = json.loads(text)
    return message


def structured(one: Exchange) -> dict[str, Any]:
    found: dict[str, Any] = result(one)["result"]
    assert not found["isError"], found
    content: dict[str, Any] = found["structuredContent"]
    return content


def made_up(value: str) -> str:
    """A value of the same kind and length that nobody has."""
    letters = "".join("0" if letter.isdigit() else "z" if letter.isalpha() else letter for letter in value[2:])
    return value[:2] + letters


def yes(state: str) -> dict[str, Any]:
    """The answer of a person who is asked in the 2026 era."""
    return {"requestState": state, "inputResponses": {"confirm": {"action": "accept", "content": {"confirm": True}}}}
