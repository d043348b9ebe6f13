"""Credential profiles: whole, tied to a place where the operator says so, and never one for another."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from paperspace_storage_server.guard.profiles import (
    Profile,
    ProfileError,
    Profiles,
    profiles_from_aws,
    profiles_from_environment,
)
from paperspace_storage_tools.errors import ProfilePinned, UnknownProfile
from paperspace_storage_tools.ports import Credentials

KEYS = Credentials(SecretStr("profile-access-1"), SecretStr("profile-secret-1"))


def test_a_profile_tied_to_an_endpoint_and_a_bucket_gives_its_keys_for_these_alone() -> None:
    profiles = Profiles({"minio": Profile(KEYS, "https://minio.example.com", "datasets")})
    there, held = "/".join(("https:", "", "minio.example.com")), "".join(("data", "sets"))  # equal, as what is typed
    assert profiles.get("MinIO", endpoint=there, bucket=held) == KEYS
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


def aws(folder: Path, *profiles: str, default: str = "") -> Path:
    """A credentials file with these profiles, each with keys of its own name."""
    file = folder / "credentials"
    sections = [f"[{name}]\naws_access_key_id=access of {name}\naws_secret_access_key=s\n" for name in profiles]
    file.write_text(default + "".join(sections), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("one", "other"),
    [("prod-eu", "prod_eu"), ("prod", "PROD"), ("prod", "\uff50\uff52\uff4f\uff44"), ("caf\u00e9", "cafe\u0301")],
)
def test_two_profiles_of_the_aws_file_that_mean_the_same_stop_the_start(tmp_path: Path, one: str, other: str) -> None:
    for allowed in (["*"], [one, other], [one], [other]):  # a tool that names the other must not get this one's keys
        with pytest.raises(ProfileError) as refused:
            profiles_from_aws(aws(tmp_path, one, other, "third"), allowed)
        assert repr(one) in str(refused.value)
        assert repr(other) in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "access of" not in str(refused.value)
    assert list(profiles_from_aws(aws(tmp_path, one, other, "third"), ["third"])) == ["third"]


def test_a_profile_of_the_environment_and_one_of_the_aws_file_that_mean_the_same_stop_the_start() -> None:
    for name in ("prod_eu", "prod-eu", "Prod-EU"):
        with pytest.raises(ProfileError, match=r"'prod_eu' and .*: mean the same .*; rename one of them"):
            Profiles({"prod_eu": Profile(KEYS)}, {name: Profile(KEYS)})


def test_a_profile_named_twice_in_the_setting_is_one(tmp_path: Path) -> None:
    assert list(profiles_from_aws(aws(tmp_path, "prod-eu"), ["prod-eu", "prod-eu"])) == ["prod-eu"]


def test_no_section_of_an_aws_file_lends_its_keys_to_a_profile_that_has_none(tmp_path: Path) -> None:
    """Python's own reader of such files would: to it, [DEFAULT] stands for whatever a section leaves out."""
    lender = "[DEFAULT]\naws_access_key_id=access of all\naws_secret_access_key=s\n[empty]\nregion=eu\n"
    file = aws(tmp_path, "own", default=lender)
    assert list(profiles_from_aws(file, ["*"])) == ["DEFAULT", "own"]
    with pytest.raises(ProfileError, match="no key pair in profile 'empty'"):
        profiles_from_aws(file, ["empty"])
