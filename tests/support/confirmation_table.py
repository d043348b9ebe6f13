"""Every kind of client before every destructive tool, in both eras and dialects: what reached the API, and the text.

PYTHONPATH=server:tools:tests python -m support.confirmation_table > tests/guard/confirmation.md
"""

from __future__ import annotations

import asyncio
import re
import warnings
from dataclasses import dataclass

import anyio
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestParams, ElicitResult, ErrorData

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.wire.messages import Dialect
from support.guarded import DESTRUCTIVE, ERAS, Era, arguments_of, text_of, world

HANGS = 0.25  # seconds of a call's budget where the client never answers
CLIENTS = (
    "cannot ask, no name",
    "cannot ask, wrong name",
    "cannot ask, exact name",
    "accepts",
    "accepts with a false",
    "accepts nothing",
    "declines",
    "cancels",
    "hangs",
    "answers garbage",
    "answers an error",
)


@dataclass(frozen=True, slots=True)
class Row:
    client: str
    era: Era
    tool: str
    dialect: Dialect
    writes: tuple[str, ...]
    asked: int
    text: str


async def rows(dialects: tuple[Dialect, ...] = DIALECTS) -> list[Row]:
    made: list[Row] = []
    for tool in DESTRUCTIVE:
        for dialect in dialects:
            for era in ERAS:
                for client in CLIENTS:
                    made.append(await row(client, era, tool, dialect))  # noqa: PERF401 - one after the other
    return made


async def row(client: str, era: Era, tool: str, dialect: Dialect) -> Row:
    """One call of one tool by one client."""
    asked: list[str] = []
    elicit = None if client.startswith("cannot ask") else _answering(client, asked)
    timeout = HANGS if client == "hangs" else 50.0
    async with world(dialect, era=era, elicit=elicit, call_timeout=timeout) as one:
        arguments = arguments_of(tool, one.ids, access="", secret="")
        exact = arguments.pop("confirm")
        if client in ("cannot ask, exact name", "accepts", "hangs", "declines"):
            arguments["confirm"] = exact  # typing it must make no difference to a client that can ask
        elif client == "cannot ask, wrong name":
            arguments["confirm"] = exact + " "
        try:
            with (
                warnings.catch_warnings(),
                anyio.fail_after(HANGS * (1 if era == "auto" else 20) if client == "hangs" else 30),
            ):
                warnings.filterwarnings("ignore", "Pydantic serializer")  # the client's, about its garbage
                text = text_of(await one.call(tool, arguments))
        except TimeoutError:
            text = "(the client waits for its person; the server waits for nothing)"
        except MCPError as error:
            text = f"(protocol error: {error.error.message})"
        for name, id in one.ids.items():
            text = text.replace(id, f"<{name}>")
        writes = tuple(_without_ids(sent) for sent in one.api.writes)
        return Row(client, era, tool, dialect, writes, len(asked), _steady(text))


def _answering(client: str, asked: list[str]) -> ElicitationFnT:
    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        asked.append(params.message)
        if client == "hangs":
            await anyio.sleep_forever()
        if client == "answers an error":
            return ErrorData(code=-32603, message="no window to show it in")
        if client == "answers garbage":
            return ElicitResult.model_construct(action="perhaps", content={"confirm": True})  # pyright: ignore[reportArgumentType]
        if client == "accepts with a false":
            return ElicitResult(action="accept", content={"confirm": False})
        if client == "declines":
            return ElicitResult(action="decline")
        if client == "cancels":
            return ElicitResult(action="cancel")
        return ElicitResult(action="accept", content={} if client == "accepts nothing" else {"confirm": True})

    return answer


def _without_ids(sent: str) -> str:
    return re.sub(
        r"/(sd|ss|sp)\w+", "/{id}", sent.replace("/shared-drives", "/SD").replace("/storage-providers", "/SP")
    )


def _steady(text: str) -> str:
    """Without what differs from run to run: ids and dates."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<date>", text)
    return re.sub(r"\b(sd|ss|sp|me|ps|ne)[a-z0-9]{9}\b", r"<\1…>", text)


def page(made: list[Row]) -> str:
    lines = [
        "# Every kind of client before every destructive tool, in both eras and dialects",
        "",
        "Every line is a call that was made; `docs/confirmation.md` says what it means.",
        "",
        "    PYTHONPATH=server:tools:tests python -m support.confirmation_table > tests/guard/confirmation.md",
        "",
        "Eras: *legacy* is the handshake up to 2025-11-25, *auto* the stateless 2026-07-28. “asked” counts questions.",
        "`/SD` is `/shared-drives`, `/SP` is `/storage-providers`. A safety snapshot in `published` is a request",
        "of its own (`POST /snapshots`) and follows the yes.",
        "",
        "| client | era | tool | dialect | asked | writes that reached the API |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in made:
        writes = ", ".join(f"`{sent}`" for sent in one.writes) or "none"
        lines.append(f"| {one.client} | {one.era} | {one.tool} | {one.dialect} | {one.asked} | {writes} |")
    lines += [
        "",
        "## The texts",
        "",
        "For `delete_shared_drive` in the live dialect; the others differ in what they name.",
        "",
    ]
    for one in made:
        if one.tool == "delete_shared_drive" and one.dialect == "live":
            lines += [f"- **{one.client}**, {one.era}: {one.text}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(asyncio.run(rows())), end="")  # noqa: T201 - the document
