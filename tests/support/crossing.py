"""All that a member of one team can ask with what belongs to another: derived from the catalogue, the listings and
the REST operations, so that nothing new is left out. Each question is asked once more with values that nobody has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from paperspace_storage_server.rest.operations import RestOperation, operations
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.schema import input_schema
from paperspace_storage_tools.tool import AnyTool
from support.two_teams import Era, Exchange, Things, Visitor, made_up, result

_TABLES = {"shared-drives": "drives", "snapshots": "snapshots", "storage-providers": "providers"}
_KINDS = {**_TABLES, "machines": "machines", "machineId": "machines", "privateNetworkId": "networks"}


@dataclass(frozen=True)
class Pair:
    """One question with a value of the other team and with one that nobody has; how many requests each cost."""

    theirs: Exchange
    nobodys: Exchange
    cost: tuple[int, int]

    @property
    def told_apart(self) -> bool:
        """Whether the asker can tell that the first value exists."""
        return self.theirs.shape() != self.nobodys.shape() or self.cost[0] != self.cost[1]


@dataclass
class Crossing:
    """`ben` asks with what is `theirs`. `cost` counts what was sent upstream so far."""

    ben: Visitor
    mine: Things
    theirs: Things
    cursors: dict[str, str]
    """A cursor of each list of the other team, by tool."""
    cost: Callable[[], int] = lambda: 0
    thorough: bool = False
    """With ids of every kind wherever there is an id, not only of the kind that is meant."""

    def __post_init__(self) -> None:
        self._numbers = count()

    async def tools(self, era: Era) -> list[Pair]:
        """Every tool, each of its arguments in turn with what is theirs."""
        pairs: list[Pair] = []
        for tool in CATALOGUE:
            base = self._base(tool)
            await self.ben.call(era, tool.name, self._base(tool))
            for argument, value in self._substitutes(tool):
                if not _is_reference(argument):
                    await self.ben.call(era, tool.name, {**base, argument: value}, typed=[value])
                    continue

                async def ask(one: str, tool: AnyTool = tool, argument: str = argument) -> Exchange:
                    return await self.ben.call(era, tool.name, {**self._base(tool), argument: one}, typed=[one])

                pairs.append(await self._pair(value, ask))
            if "confirm" in tool.arguments.model_fields and "id" in tool.arguments.model_fields:
                table = _TABLES[tool.toolset]
                wanted = {"id": self.theirs.id(table), "confirm": self.theirs.name(table)}
                await self.ben.call(era, tool.name, {**self._base(tool), **wanted}, typed=wanted.values())
        return pairs

    async def resources(self, era: Era) -> list[Pair]:
        """Every resource that is listed, and every template with each id of theirs."""
        pairs: list[Pair] = []
        for one in result(await self.ben.rpc(era, "resources/list"))["result"]["resources"]:
            await self.ben.rpc(era, "resources/read", {"uri": one["uri"]})
        for one in result(await self.ben.rpc(era, "resources/templates/list"))["result"]["resourceTemplates"]:
            before, _, rest = one["uriTemplate"].partition("{")
            after = rest.partition("}")[2]
            for id in self._ids(_KINDS.get(one["uriTemplate"].partition("://")[2].partition("/")[0], "drives")):

                async def ask(id: str, before: str = before, after: str = after) -> Exchange:
                    return await self.ben.rpc(era, "resources/read", {"uri": before + id + after}, typed=[id])

                pairs.append(await self._pair(id, ask))
        return pairs

    async def prompts_and_completions(self, era: Era) -> list[Pair]:
        """Every argument of every prompt and template: completed from each id and name of theirs, and filled in."""
        pairs: list[Pair] = []
        places: list[tuple[dict[str, str], str]] = []
        for prompt in result(await self.ben.rpc(era, "prompts/list"))["result"]["prompts"]:
            names = [argument["name"] for argument in prompt.get("arguments", [])]
            places += [({"type": "ref/prompt", "name": prompt["name"]}, name) for name in names]
            for id in (*self._ids("snapshots"), self.theirs.name("providers")):
                given = dict.fromkeys(names, id) | ({"keep": "3"} if "keep" in names else {})
                await self.ben.rpc(era, "prompts/get", {"name": prompt["name"], "arguments": given}, typed=[id])
        for one in result(await self.ben.rpc(era, "resources/templates/list"))["result"]["resourceTemplates"]:
            name = one["uriTemplate"].partition("{")[2].partition("}")[0]
            places.append(({"type": "ref/resource", "uri": one["uriTemplate"]}, name))
        names = [self.theirs.name(table) for table in ("drives", "machines", "snapshots", "providers")]
        for ref, argument in places:
            for value in (*self.theirs.ids.values(), *names) if self.thorough else (*self._ids("snapshots"), names[0]):

                async def ask(one: str, ref: dict[str, str] = ref, argument: str = argument) -> Exchange:
                    context = {"arguments": {"machineId": one}}
                    wanted = {"ref": ref, "argument": {"name": argument, "value": one}, "context": context}
                    return await self.ben.rpc(era, "completion/complete", wanted, typed=[one])

                pairs.append(await self._pair(value, ask, lists_are_kept=True))
            found = {"ref": ref, "argument": {"name": argument, "value": ""}}
            await self.ben.rpc(era, "completion/complete", found)
            of_theirs = {**found, "context": {"arguments": {"machineId": self.theirs.id("machines")}}}
            await self.ben.rpc(era, "completion/complete", of_theirs, typed=[self.theirs.id("machines")])
        return pairs

    async def skills(self) -> None:
        """Every skill, every file of it, every folder."""
        for skill in result(await self.ben.rpc("modern", "skills/list"))["result"]["skills"]:
            await self.ben.rpc("modern", "skills/get", {"uri": skill["uri"]})
            for one in skill["resources"]:
                await self.ben.rpc("modern", "resources/read", {"uri": one["uri"]})
            await self.ben.rpc("modern", "resources/directory/read", {"uri": skill["uri"].rsplit("/", 1)[0]})

    async def rest(self) -> list[Pair]:
        """Every operation of the REST surface, with each id of theirs in its path, and theirs in query and body."""
        pairs: list[Pair] = []
        await self.ben.rest("GET", "/openapi.json")
        for one in operations():
            if "{id}" in one.path:

                async def ask_at(id: str, one: RestOperation = one) -> Exchange:
                    return await self._at(one, id)

                table = _TABLES.get(one.tool.toolset, "events")
                pairs.extend([await self._pair(id, ask_at) for id in self._ids(table)])
                named = self.theirs.name(_TABLES.get(one.tool.toolset, "drives"))
                await self._at(one, self.theirs.id(_TABLES.get(one.tool.toolset, "events")), confirm=named)
                continue
            for argument, value in self._substitutes(one.tool):
                if argument in one.fields:

                    async def ask(value: str, one: RestOperation = one, argument: str = argument) -> Exchange:
                        if one.has_body:
                            body = {**self._base(one.tool), argument: value}
                            return await self.ben.rest(one.method, one.path, body, typed=[value])
                        return await self.ben.rest(one.method, f"{one.path}?{argument}={value}", typed=[value])

                    if _is_reference(argument):
                        pairs.append(await self._pair(value, ask))
                    else:
                        await ask(value)
        return pairs

    async def _at(self, one: RestOperation, id: str, *, confirm: str | None = None) -> Exchange:
        body = {name: value for name, value in self._base(one.tool).items() if name in one.fields}
        if one.method == "PUT" and "name" in one.fields:
            body["name"] = f"renamed-{next(self._numbers)}"
        headers = {} if confirm is None else {"Confirm-Name": confirm}
        typed = [id] if confirm is None else [id, confirm]
        path = one.path.replace("{id}", id)
        return await self.ben.rest(one.method, path, body if one.has_body else None, typed=typed, headers=headers)

    async def _pair(
        self, value: str, ask: Callable[[str], Awaitable[Exchange]], *, lists_are_kept: bool = False
    ) -> Pair:
        before = self.cost()
        theirs = await ask(value)
        between = self.cost()
        nobodys = await ask(made_up(value))
        after = self.cost()
        # A list that is kept for half a minute is asked for by whoever comes first.
        return Pair(theirs, nobodys, (0, 0) if lists_are_kept else (between - before, after - between))

    def _base(self, tool: AnyTool) -> dict[str, Any]:
        """What the tool needs, of the asker's own; a new name each time."""
        network = self.mine.rows["networks"][0]
        own: dict[str, Any] = {
            "id": self.mine.id(_TABLES.get(tool.toolset, "events")),
            "machineId": self.mine.id("machines"),
            "privateNetworkId": network["id"],
            "region": network["region"],
            "size": 250,
            "type": "s3",
            "name": f"made-{next(self._numbers)}",
        }
        schema = input_schema(tool.arguments)
        base = {name: own[name] for name in schema.get("required", [])}
        if tool.kind == "write" and "id" in base:
            base.setdefault("name", own["name"])  # one change at least
        return base

    def _substitutes(self, tool: AnyTool) -> Iterator[tuple[str, str]]:
        """Each argument that is text, with each value of theirs that it could be."""
        for name, schema in input_schema(tool.arguments)["properties"].items():
            if schema["type"] != "string" or "enum" in schema:
                continue
            if _is_reference(name):
                table = _TABLES.get(tool.toolset, "events") if name == "id" else _KINDS[name]
                yield from ((name, id) for id in self._ids(table))
            elif name == "after":
                yield name, self.cursors[tool.name]
            elif name == "confirm":
                yield name, self.theirs.name(_TABLES[tool.toolset])
                yield name, self.theirs.id(_TABLES[tool.toolset])
            elif tool.kind == "read":
                yield from ((name, one) for one in (self._names() if self.thorough else self._names()[:1]))
                yield name, f"*{self.theirs.mark}*"

    def _ids(self, table: str) -> list[str]:
        return list(self.theirs.ids.values()) if self.thorough else [self.theirs.id(table)]

    def _names(self) -> list[str]:
        return [self.theirs.name(table) for table in ("drives", "machines", "snapshots", "providers", "networks")]


def _is_reference(argument: str) -> bool:
    return argument == "id" or argument.endswith("Id")
