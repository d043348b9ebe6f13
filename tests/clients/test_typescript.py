"""The TypeScript SDK, version 1 and version 2 in both eras, over stdio. Needs npm and its registry."""

from __future__ import annotations

import pytest

from paperspace_storage_tools.catalogue import CATALOGUE
from support.clients import Clients, answered, patched
from support.stdio_server import COMMAND

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SDKS = ["v1", "v2-legacy", "v2-modern"]
FAULTY = """
from paperspace_storage_server.calls import service as app
whole = app.entries
def faulty(*given):
    found = whole(*given)
    found[0]["outputSchema"]["required"] = ["nowhere"]
    return found
app.entries = faulty
"""


@pytest.mark.parametrize("sdk", SDKS)
def test_the_main_job_and_a_delete_that_a_person_accepts(clients: Clients, sdk: str) -> None:
    seen = answered(clients.run("node", "typescript.mjs", sdk, *COMMAND))
    drive, created = seen["drive"], seen["created"]
    assert seen["tools"] == len(CATALOGUE)
    assert (drive["name"], drive["size"], drive["region"]) == ("team-home", 250, "ny2")
    assert (created["machineId"], created["name"]) == ("psc5wd8xq0v", "before upgrade")
    assert (created["event"]["name"], created["event"]["state"]) == ("snapshot-create", "done")
    assert seen["sameSnapshot"]
    assert seen["progress"] > 0
    assert seen["utilization"]["freeTotal"] == 5_000_000_000_000
    (question,) = seen["questions"]
    assert f': Delete shared drive {drive["id"]} "team-home" (250 GB, region ny2' in question
    assert seen["deleted"] == {"id": drive["id"], "name": "team-home", "deleted": True}
    assert seen["error"]


@pytest.mark.parametrize("sdk", SDKS)
def test_a_result_that_breaks_its_schema_is_refused(clients: Clients, sdk: str) -> None:
    done = clients.run("node", "typescript.mjs", sdk, *patched(FAULTY))
    assert done.returncode != 0
    assert "must have required property 'nowhere'" in done.stderr
