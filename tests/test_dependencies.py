"""What the code imports and what pyproject.toml says it needs: each is in the other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OURS = ("paperspace_storage_server", "paperspace_storage_tools")
PART_OF = {"mcp-types": "mcp", "pydantic-core": "pydantic"}
"""Distributions whose version another one pins: to name them would be to name it twice."""
OPTIONAL = {
    "hosted": {"hosted/metrics.py", "state/redis.py"},
    "telemetry": {"calls/traced.py", "mcp/tracing.py", "process/measured.py", "process/traced.py", "rest/traced.py"},
}
"""Modules that may import their extra as they begin: nobody imports them where it is not installed."""


_BY_NAME = packages_distributions()


class Import(NamedTuple):
    module: str
    name: str
    at_once: bool
    """While its module is imported, and not for types alone."""


def _imports() -> Iterator[Import]:
    for ours in OURS:
        folder = next(ROOT.glob(f"*/{ours}"))
        for file in folder.rglob("*.py"):
            module = file.relative_to(folder).as_posix()
            tree = ast.parse(file.read_text(encoding="utf-8"))
            at_once = {id(one) for one in _run_at_once(tree)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    yield from (Import(module, one.name, id(node) in at_once) for one in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield Import(module, node.module, id(node) in at_once)


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING":
            continue
        yield one
        yield from _run_at_once(one)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(requirements: list[str]) -> set[str]:
    return {_normal(re.split(r"[\s\[><=!~;]", one, maxsplit=1)[0]) for one in requirements}


def _declared() -> tuple[set[str], dict[str, set[str]]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: _names(requirements) for name, requirements in project["optional-dependencies"].items()}
    return _names(project["dependencies"]), extras


def _distributions(name: str) -> set[str]:
    """Which distributions an imported name may come from; of those that share a namespace, the one that has it."""
    top = name.split(".")[0]
    found = {_normal(one) for one in _BY_NAME.get(top, [top])}
    if name.startswith("opentelemetry."):
        kinds = {
            "opentelemetry.sdk": "opentelemetry-sdk",
            "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
        }
        found = {next((one for prefix, one in kinds.items() if name.startswith(prefix)), "opentelemetry-api")}
    return {PART_OF.get(one, one) for one in found}


def _third_party() -> list[Import]:
    return [
        one for one in _imports() if (top := one.name.split(".")[0]) not in OURS and top not in sys.stdlib_module_names
    ]


def test_every_import_is_declared_and_what_only_an_extra_brings_is_imported_where_it_is_used() -> None:
    base, extras = _declared()
    # The API comes with the SDK of the same version.
    extras["telemetry"].add("opentelemetry-api")
    undeclared: list[str] = []
    for one in _third_party():
        distributions = _distributions(one.name)
        if distributions & base:
            continue
        extra = next((name for name, names in extras.items() if distributions & names), None)
        early = one.at_once and one.module not in OPTIONAL.get(extra or "", ())
        if extra is None or early:
            undeclared.append(f"{one.module} imports {one.name}")
    assert undeclared == []


def test_every_declared_dependency_is_imported() -> None:
    base, extras = _declared()
    used = {distribution for one in _third_party() for distribution in _distributions(one.name)}
    every = base.union(*extras.values()) - {"paperspace-storage-mcp"}
    assert sorted(every - used) == []


def test_what_the_tests_need_of_the_extras_is_in_the_same_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    optional = project["project"]["optional-dependencies"]
    wanted = {one for name in ("hosted", "telemetry") for one in optional[name] if "[" not in one}
    assert wanted <= set(project["dependency-groups"]["dev"])
