"""No secret comes out: not in results, errors, logs, the audit file or a repr. The sweep is in support."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from runpy import run_path
from typing import cast

import httpx
import pytest
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.secrets import Vault
from support.guarded import API_KEY, everything_in, make, world
from support.secrets_sweep import sweep

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def test_no_marked_secret_comes_out_of_any_tool_in_any_dialect_by_any_failure() -> None:
    made = await sweep()
    assert made.leaks == []
    assert made.looks > 6000


def test_each_mask_that_is_taken_away_in_turn_is_there() -> None:
    """The next test takes minutes, so whoever renames one is told here."""
    masks = run_path(str(ROOT / "bench" / "mutate_masks.py"))["MASKS"]
    for take_away in masks.values():
        with ExitStack() as stack:
            take_away(stack)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sweep_notices_when_any_single_mask_is_taken_away() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in ("server", "tools", "tests"))}
    run = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "mutate_masks.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert (run.returncode, "NOT SEEN" in run.stdout) == (0, False), run.stdout + run.stderr


def test_an_endpoint_loses_the_keys_someone_wrote_into_it_and_the_result_says_so() -> None:
    made, _ = Hygiene(Vault()).result({"endpoint": "https://AKIA1:s3cret@minio.example.com/x", "name": "a@b"})
    assert made == {
        "endpoint": "https://[secret]@minio.example.com/x",
        "name": "a@b",
        "notice": "A secret was masked.",
    }


def test_a_repr_of_what_lives_long_shows_no_secret() -> None:
    api, service = make("live")
    api.close()
    assert API_KEY not in repr(service.process) + repr(service.team) + repr(service.team.profiles.secrets)


def test_what_the_http_libraries_log_of_messages_stays_off_at_log_level_debug() -> None:
    from support.secrets_sweep import logs_of

    api, made = make("live")
    api.close()

    class One:
        service = made

    with logs_of(One()):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        loud = [name for name in ("mcp.server.sse", "httpx", "asyncio") if logging.getLogger(name).isEnabledFor(20)]
    assert loud == []


async def test_refused_keys_blank_neither_the_question_nor_the_audit_nor_count_as_a_name(tmp_path: Path) -> None:
    """Three refused calls, whose keys are what the next question will say."""
    asked: list[str] = []

    async def accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    for elicit in (accept, None):
        async with world("live", elicit=elicit, audit_file=tmp_path / "audit.jsonl") as one:
            drive, name = one.ids["drive"], one.ids["drive name"]
            keys = [drive, name, "shared drive", f"region {one.ids['region']}", "Delete", "500 GB", one.ids["region"]]
            for access, secret in zip(keys, reversed(keys), strict=True):
                given = {"name": "x", "type": "gcs", "bucket": "b", "accessKey": access, "secretKey": secret}
                assert "S3-compatible providers only" in await one.text("create_storage_provider", given)
            assert "[secret]" not in await one.text("list_shared_drives")
            if elicit is None:
                for typed in ("[secret]", ""):
                    refused = await one.text("delete_shared_drive", {"id": drive, "confirm": typed})
                    assert f'shared drive {drive} "{name}"' in refused
            text = await one.text("delete_shared_drive", {"id": drive, "confirm": name})
            assert text.startswith(f'{{"id":"{drive}","name":"{name}","deleted":true'), text
            last = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])
            assert last["arguments"] == {"id": drive, "confirm": name}
    assert asked == [asked[0]]
    assert f': Delete shared drive {drive_of(asked[0])} "' in asked[0]
    assert "[secret]" not in asked[0]


def drive_of(question: str) -> str:
    return question.split("shared drive ")[1].split()[0]


async def test_the_api_s_own_passwords_blank_no_region_and_no_name_and_stop_no_question() -> None:
    def password(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        value = answer.json()
        words = itertools.cycle(("ny2", "team-home", "test", "ams1"))
        for drive in value.get("items", [value]):
            drive["password"] = next(words)
        return httpx.Response(answer.status_code, json=value)

    async with world("live") as one:
        before = (await one.call("list_shared_drives")).structured_content
        one.api.after = password
        after = (await one.call("list_shared_drives")).structured_content
        assert before is not None
        assert after is not None
        hidden = {"name": "[secret]"}  # the one name that is a password, too
        for was, now in zip(before["items"], after["items"], strict=True):
            assert now == (was if was["name"] != "team-home" else {**was, **hidden})
        text = await one.text("delete_shared_drive", {"id": before["items"][1]["id"]})
        assert f'shared drive {before["items"][1]["id"]} "{before["items"][1]["name"]}"' in text
        text = await one.text("delete_shared_drive", {"id": one.ids["drive"]})
        assert text.startswith("A name or a field of this shared drive holds a secret"), text


async def test_a_key_in_the_reason_why_an_event_cannot_be_followed_does_not_come_out_in_the_notice() -> None:
    def refuse(request: httpx.Request) -> httpx.Response | None:
        if "/machine-events/" not in request.url.path:
            return None
        said = "." * 290 + API_KEY  # cut at 300 characters, ten of the key would be left
        return httpx.Response(403, json={"code": "NO", "message": said})

    def begun(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(200, text=answer.text.replace('"state":"done"', '"state":"new"'))

    async with world("live") as one:
        one.api.instead, one.api.after = refuse, begun
        made = await one.call("create_snapshot", {"machineId": one.ids["machine"], "name": "x", "waitSeconds": 5})
        notice = str(cast("dict[str, object]", made.structured_content)["notice"])
        assert f'The API said: "{"." * 290}[secret]' in notice
        assert API_KEY[:4] not in everything_in(made)


async def test_a_call_whose_arguments_hold_its_own_secret_is_not_made_where_they_are_recorded(tmp_path: Path) -> None:
    keys = {"accessKey": "AKIA-audit-1234", "secretKey": "audit/secret/1234"}
    given = {"name": "a audit%2Fsecret/1234", "type": "s3", "bucket": "b", **keys}
    async with world("live", audit_file=tmp_path / "audit.jsonl") as one:
        text = await one.text("create_storage_provider", given)
        assert text.startswith("`name` would put a secret into the operator's audit file")
        assert text.endswith("Nothing was changed.")
        assert one.api.sent == []
        assert not (tmp_path / "audit.jsonl").exists()
    async with world("live") as one:
        assert '"name":"a [secret]"' in await one.text("create_storage_provider", given)
