"""The tables of the tests that are written by hand know every tool, and every method of the codecs."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict

import pytest

import paperspace_storage_tools
from faults.test_any_answer import CALLS
from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.wire.messages import Codec
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import LISTED_BY
from paperspace_storage_tools.tool import AnyTool, Tool
from support.guarded import DESTRUCTIVE, arguments_of
from wire.every_operation import OPERATIONS

NO_OPERATION = {"check_drive", "check_provider"}  # they only refuse what a dialect cannot express
IDS = defaultdict[str, str](lambda: "x1")


def test_every_tool_that_a_module_defines_is_in_the_catalogue() -> None:
    names = [one.name for one in pkgutil.iter_modules(paperspace_storage_tools.__path__)]
    modules = [importlib.import_module(f"paperspace_storage_tools.{name}") for name in names]
    defined = {one.name for module in modules for one in vars(module).values() if isinstance(one, Tool)}
    assert defined == {tool.name for tool in CATALOGUE}, "catalogue.py"


@pytest.mark.parametrize("tool", CATALOGUE, ids=lambda tool: tool.name)
def test_the_sweep_and_the_any_answer_calls_give_a_tool_all_that_it_requires(tool: AnyTool) -> None:
    calls = dict(CALLS)
    assert tool.name in calls, "CALLS in tests/faults/test_any_answer.py"
    for given in (arguments_of(tool.name, IDS, access="AKIA", secret="a-secret-key"), calls[tool.name]):
        tool.arguments.model_validate(given)


def test_every_destructive_tool_is_known_with_what_it_destroys() -> None:
    assert set(DESTRUCTIVE) == {tool.name for tool in CATALOGUE if tool.kind == "destructive"}, (
        "DESTRUCTIVE in tests/support/guarded.py"
    )


def test_every_method_of_the_codecs_is_an_operation_of_a_dialect() -> None:
    methods = {name for name, one in vars(Codec).items() if callable(one) and not name.startswith("_")}
    assert {one.name for one in OPERATIONS} == methods - NO_OPERATION, "tests/wire/every_operation.py"
    assert {one.dialect for one in OPERATIONS} == set(DIALECTS)


def test_the_lister_of_every_kind_is_a_reading_tool_that_lists_and_no_lister_is_forgotten() -> None:
    listers = {tool.name for tool in CATALOGUE if "after" in tool.arguments.model_fields}
    assert set(LISTED_BY.values()) == listers, "LISTED_BY in paperspace_storage_tools/errors.py"
    assert all(not tool.writes for tool in CATALOGUE if tool.name in listers)
