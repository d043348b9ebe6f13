"""A client that openapi-python-client made from the published document does the main job over production's dialect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.published import PUBLISHED

from .over_http import Served, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GENERATOR = "openapi-python-client>=0.29,<0.30"
MAIN_JOB = """
import json, sys, time
from urllib.parse import quote
from storage import AuthenticatedClient
from storage.errors import UnexpectedStatus
from storage.api.shared_drives import create_shared_drive, delete_shared_drive, get_shared_drive, list_shared_drives
from storage.api.snapshots import create_snapshot, list_snapshots, restore_snapshot
from storage.api.storage_providers import get_storage_utilization
from storage.models import CreateSnapshotBody, SharedDriveCreate

url, token = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)

def sending(**headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True, headers=headers)

def refused(call, *given):
    try:
        call(*given, client=client)
    except UnexpectedStatus as error:
        return {"status": error.status_code, **json.loads(error.content)}

def followed(answer):
    link = answer.headers["link"]
    assert link.endswith('; rel="monitor"'), link
    state, until = "new", time.monotonic() + 60
    while state in ("new", "in progress"):
        assert time.monotonic() < until, state
        state = client.get_httpx_client().get(link[len("</v1"):].split(">")[0]).json()["state"]
        time.sleep(0.05)
    return state

NAME = "team \\u2602 100%"
first = list_shared_drives.sync(client=client)[0]
wanted = SharedDriveCreate(name=NAME, size=100, region=first.region, private_network_id=first.private_network_id)
once = sending(Idempotency_Key="drive-of-today")
drive, again = (create_shared_drive.sync(client=once, body=wanted) for _ in range(2))
other = SharedDriveCreate(name="another", size=100, region=first.region, private_network_id=first.private_network_id)
try:
    create_shared_drive.sync(client=once, body=other)
except UnexpectedStatus as error:
    reused = error.status_code
named = [one.name for one in list_shared_drives.sync(client=client)]

machine = list_snapshots.sync(client=client, limit=1)[0].machine_id
before = create_snapshot.sync_detailed(client=client, body=CreateSnapshotBody(machine_id=machine, name="before"))
snapshot = before.parsed
taken = followed(before)
unconfirmed = refused(restore_snapshot.sync_detailed, snapshot.id)
confirmed = sending(Confirm_Name="before", Idempotency_Key='"restore-of-today"')
restored, replayed = (restore_snapshot.sync_detailed(snapshot.id, client=confirmed) for _ in range(2))
exactly_named = sending(Confirm_Name=quote(NAME, safe=""))

print(json.dumps({
    "drive": drive.to_dict(),
    "the same": drive.id == again.id,
    "drives of that name": named.count(NAME),
    "another": named.count("another"),
    "key reused": reused,
    "taken": taken,
    "unconfirmed": unconfirmed,
    "restored": restored.status_code,
    "replayed": [replayed.headers.get("idempotent-replay"), replayed.headers["link"] == restored.headers["link"]],
    "followed": followed(restored),
    "snapshots": [one.name for one in list_snapshots.sync(client=client, machine_id=machine, limit=5)],
    "utilization": get_storage_utilization.sync(client=client).to_dict(),
    "unconfirmed drive": refused(delete_shared_drive.sync_detailed, drive.id)["status"],
    "deleted": delete_shared_drive.sync_detailed(drive.id, client=exactly_named).status_code,
    "gone": refused(get_shared_drive.sync, drive.id)["status"],
}))
"""


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that has the generator, and what a generated client needs."""
    folder = tmp_path_factory.mktemp("generator")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GENERATOR]
    done = subprocess.run(install, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return python


def _generate(python: Path, document: dict[str, Any], folder: Path) -> None:
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "settings.yml").write_text("post_hooks: []\n")  # the formatting of what it writes is nobody's concern
    done = subprocess.run(
        [
            *(str(python.parent / "openapi-python-client"), "generate", "--meta", "none", "--fail-on-warning"),
            *("--path", "openapi.json", "--config", "settings.yml", "--output-path", "storage"),
        ],
        cwd=folder,
        env=_bare(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PAPERSPACE_", "PYTHON"))}


def _do(python: Path, job: str, one: Served, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), "-c", job, one.url, one.token],
        cwd=folder,
        env={**_bare(), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_a_client_made_from_the_published_document_does_the_main_job(generator: Path, tmp_path: Path) -> None:
    _generate(generator, PUBLISHED, tmp_path)
    with served(tmp_path, "live") as one:
        made = _do(generator, MAIN_JOB, one, tmp_path)
        with one.behind() as behind:
            drives = [each["name"] for each in behind.get("/shared-drives").json()["items"]]
    drive, usage, unconfirmed = made.pop("drive"), made.pop("utilization"), made.pop("unconfirmed")
    assert (drive["name"], drive["size"]) == ("team ☂ 100%", 100)
    assert usage["sharedStorage"] > 0
    assert unconfirmed["detail"].startswith("Restoring snapshot ")
    assert (unconfirmed["status"], unconfirmed["changed"]) == (428, "nothing")
    safety, before = made.pop("snapshots")[:2]  # the newest of the machine: one was made before the restore
    assert (before, safety != "before") == ("before", True)
    assert made == {
        "the same": True,
        "drives of that name": 1,
        "another": 0,
        "key reused": 422,
        "taken": "done",
        "restored": 200,
        "replayed": ["true", True],
        "followed": "done",
        "unconfirmed drive": 428,
        "deleted": 204,
        "gone": 404,
    }
    assert "team ☂ 100%" not in drives


OWN_WORDS = """
import json, sys
from storage import AuthenticatedClient
from storage.api.shared_drives import delete_shared_drive, list_shared_drives
from storage.models import Problem

url, token = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
drive = list_shared_drives.sync(client=client, region="ny2", limit=1)[0]
problem = delete_shared_drive.sync(drive.id, client=client)
assert isinstance(problem, Problem), problem
done = delete_shared_drive.sync_detailed(drive.id, client=client, confirm_name=drive.name)
print(json.dumps({"problem": [problem.status, problem.changed.value], "deleted": done.status_code}))
"""


def test_a_client_made_from_our_own_document_knows_confirmation_and_problems(generator: Path, tmp_path: Path) -> None:
    with served(tmp_path, "live") as one:
        with one.client() as client:
            _generate(generator, client.get("/openapi.json").json(), tmp_path)
        made = _do(generator, OWN_WORDS, one, tmp_path)
    assert made == {"problem": [428, "nothing"], "deleted": 204}
