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
from paperspace_storage_server.guard.profiles import (
    Profile,
    ProfileError,
    Profiles,
    profiles_from_aws,
    profiles_from_environment,
)
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_tools.errors import ProfilePinned, UnknownProfile
from paperspace_storage_tools.ports import Credentials
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


# --- profiles

KEYS = Credentials(SecretStr("profile-access-1"), SecretStr("profile-secret-1"))


def test_a_profile_tied_to_an_endpoint_and_a_bucket_gives_its_keys_for_these_alone() -> None:
    profiles = Profiles({"minio": Profile(KEYS, "https://minio.example.com", "datasets")})
    assert profiles.get("MinIO", endpoint="https://minio.example.com", bucket="datasets") == KEYS
    for endpoint, bucket, argument in (
        ("https://evil.example.com", "datasets", "endpoint"),
        ("https://minio.example.com.evil.example", "datasets", "endpoint"),
        (None, "datasets", "endpoint"),
        ("https://minio.example.com", "other", "bucket"),
        ("https://minio.example.com", None, "bucket"),
    ):
        with pytest.raises(ProfilePinned) as refused:
            profiles.get("minio", endpoint=endpoint, bucket=bucket)
        assert refused.value.argument == argument


def test_an_untied_profile_gives_its_keys_for_any_place_and_an_unknown_one_names_those_that_exist() -> None:
    profiles = Profiles({"team": Profile(KEYS)})
    assert profiles.get("team", endpoint="https://x.example.com", bucket="b") == KEYS
    with pytest.raises(UnknownProfile) as refused:
        profiles.get("tean", endpoint=None, bucket=None)
    assert refused.value.known == ["team"]


def test_profiles_come_whole_from_the_environment() -> None:
    prefix = "PAPERSPACE_MCP_CREDENTIAL_MY_MINIO_"
    made = profiles_from_environment(
        {
            f"{prefix}ACCESS_KEY": "profile-access-1",
            f"{prefix}SECRET_KEY": "profile-secret-1",
            f"{prefix}ENDPOINT": "https://minio.example.com",
            f"{prefix}BUCKET": "datasets",
        }
    )
    assert made == {"my_minio": Profile(KEYS, "https://minio.example.com", "datasets")}


@pytest.mark.parametrize("variable", ["ACCESS_KEY", "SECRET_KEY", "ENDPOINT"])
def test_half_a_profile_stops_the_start(variable: str) -> None:
    with pytest.raises(ProfileError, match=r"PAPERSPACE_MCP_CREDENTIAL_X_.*not set"):
        profiles_from_environment({f"PAPERSPACE_MCP_CREDENTIAL_X_{variable}": "https://x.example.com"})


def test_a_mistyped_limit_of_a_profile_stops_the_start() -> None:
    with pytest.raises(ProfileError, match="must end in _ENDPOINT"):
        profiles_from_environment({"PAPERSPACE_MCP_CREDENTIAL_X_ENDPIONT": "https://minio.example.com"})


def test_an_aws_profile_with_an_endpoint_of_its_own_is_tied_to_it(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[minio]\naws_access_key_id=profile-access-1\naws_secret_access_key=profile-secret-1\n"
        "endpoint_url=https://minio.example.com\n"
    )
    assert profiles_from_aws(file, ["minio"]) == {"minio": Profile(KEYS, "https://minio.example.com")}


def test_a_broken_aws_file_is_named_without_a_word_of_it(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("aws_secret_access_key=profile-secret-1\n")
    with pytest.raises(ProfileError) as refused:
        profiles_from_aws(file, ["*"])
    assert "profile-secret-1" not in str(refused.value)
    assert refused.value.__cause__ is None
