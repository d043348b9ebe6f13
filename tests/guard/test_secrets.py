"""No secret comes out: not in results, errors, logs, the audit file or a repr. The sweep is in support."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.secrets import Vault
from support.guarded import API_KEY, make
from support.secrets_sweep import sweep

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def test_no_marked_secret_comes_out_of_any_tool_in_any_dialect_by_any_failure() -> None:
    made = await sweep()
    assert made.leaks == []
    assert made.looks > 3000


@pytest.mark.slow
def test_the_sweep_notices_when_any_single_mask_is_taken_away() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in ("server", "tools", "tests"))}
    run = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "mutate_masks.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (run.returncode, "NOT SEEN" in run.stdout) == (0, False), run.stdout + run.stderr


def test_a_page_of_providers_is_masked_with_every_key_it_brought() -> None:
    vault = Vault()
    keys = [f"access-key-{number:04}" for number in range(2 * 120)]
    for key in keys:
        vault.learn(SecretStr(key))
    made, text = Hygiene(vault).result({"items": [{"name": key} for key in keys]})
    assert made["items"] == [{"name": "[secret]"}] * 240
    assert "access-key" not in text


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
