"""Schemathesis over the sandbox in both dialects: no request makes it fail, or answer what its description forbids."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import hypothesis
import pytest
import schemathesis
import yaml

from paperspace_storage_server.sandbox import create_app

pytestmark = pytest.mark.slow
_DATA = Path(__file__).parents[1] / "data"
_GENERAL: Any = import_module("schemathesis.checks")  # partly untyped, so not by name
_OPENAPI: Any = import_module("schemathesis.specs.openapi.checks")
_CHECKS = [_GENERAL.not_a_server_error, _OPENAPI.response_schema_conformance]
_UNHURRIED = (hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much)
_OURS = ("/shared-drives", "/snapshots", "/storage-providers", "/machine-events")


@pytest.mark.parametrize("dialect", ["published", "live"])
def test_no_request_breaks_the_sandbox(dialect: Literal["published", "live"]) -> None:
    app = create_app(dialect, prefix="")
    statuses: Counter[int] = Counter()

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        async def counting(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses[message["status"]] += 1
            await send(message)

        await app(scope, receive, counting)

    described: Any = yaml.safe_load((_DATA / f"{dialect}.openapi.yaml").read_text(encoding="utf-8"))
    described.pop("servers", None)
    schema: Any = schemathesis.openapi.from_dict(described)
    schema.app = counted
    operations = [found.ok() for found in schema.get_all_operations()]
    ours = [one for one in operations if one.path.startswith(_OURS)]
    assert len(ours) >= 17
    try:
        for operation in ours:
            _answer_all(operation)
    finally:
        app.state.close()
    assert {200, 400, 404} <= statuses.keys()
    assert statuses.total() > 300


def _answer_all(operation: Any) -> None:
    @hypothesis.settings(max_examples=30, deadline=None, database=None, suppress_health_check=_UNHURRIED)
    @hypothesis.given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        case.call_and_validate(
            headers={"Authorization": "Bearer key-of-the-team"},
            checks=_CHECKS,
        )

    answers()
