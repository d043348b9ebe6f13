"""Paths without their ids, for spans and metrics."""

from __future__ import annotations

import re

import pytest

from paperspace_storage_server.wire.paths import template_of
from wire.every_operation import OPERATIONS, Known


@pytest.mark.parametrize("known", OPERATIONS, ids=str)
def test_a_template_of_an_operation_has_its_shape_and_none_of_its_ids(known: Known) -> None:
    path = known.operation.request.path
    template = template_of(path)
    assert "{other}" not in template
    matched = re.fullmatch(re.escape(template).replace(r"\{id\}", "([^/]+)"), path)
    assert matched
    assert len(matched.groups()) == (1 if len(path.split("/")) > 2 and path not in _WITHOUT_IDS else 0)


_WITHOUT_IDS = ("/storage-providers/utilization", "/auth/session")


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/snapshots/restore", "/snapshots/{id}"),
        ("/snapshots/utilization", "/snapshots/{id}"),
        ("/snapshots/a/restore", "/snapshots/{id}/restore"),
        ("/snapshots/a/b", "/snapshots/{id}/{id}"),
        ("/secret", "/{other}"),
        ("", "/{other}"),
    ],
)
def test_a_segment_that_is_not_known_is_never_shown(path: str, template: str) -> None:
    assert template_of(path) == template
