"""Where credential profiles come from: which variables and sections make one, and what is said of those that do not."""

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

PREFIX = "PAPERSPACE_MCP_CREDENTIAL_"


def keys(name: str) -> Credentials:
    return Credentials(SecretStr(f"access of {name}"), SecretStr(f"secret of {name}"))


def test_variables_of_any_case_make_a_profile_and_empty_ones_make_none() -> None:
    made = profiles_from_environment(
        {
            f"{PREFIX}team_access_key": "access of team",
            f"{PREFIX}TEAM_SECRET_KEY": "secret of team",
            f"{PREFIX}TEAM_BUCKET": "",
            f"{PREFIX}NONE_ACCESS_KEY": "",
            f"{PREFIX}NONE_SECRET_KEY": "",
            "PAPERSPACE_MCP_PROTECT": "prod-*",
            "PATH": "/bin",
        }
    )
    assert made == {"team": Profile(keys("team"))}


def test_a_profile_may_be_tied_to_an_endpoint_or_a_bucket_alone() -> None:
    both = {f"{PREFIX}A_ACCESS_KEY": "access of a", f"{PREFIX}A_SECRET_KEY": "secret of a"}
    assert profiles_from_environment({**both, f"{PREFIX}A_ENDPOINT": "https://e"}) == {
        "a": Profile(keys("a"), endpoint="https://e")
    }
    tied = profiles_from_environment({**both, f"{PREFIX}A_BUCKET": "b"})
    assert tied == {"a": Profile(keys("a"), bucket="b")}
    profiles = Profiles(tied)
    assert profiles.get("A", endpoint="https://anywhere", bucket="b") == keys("a")
    with pytest.raises(ProfilePinned) as refused:
        profiles.get("a", endpoint=None, bucket="c")
    assert (refused.value.argument, refused.value.pinned) == ("bucket", "b")


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [
        ("X_ENDPIONT", "_ENDPOINT"),
        ("X_BUKCET", "_BUCKET"),
        ("X_REGION", "_ACCESS_KEY, _SECRET_KEY, _ENDPOINT, _BUCKET"),
        ("ACCESS_KEY", "_ACCESS_KEY, _SECRET_KEY, _ENDPOINT, _BUCKET"),
    ],
)
def test_a_variable_that_is_none_of_a_profiles_stops_the_start_with_what_it_may_end_in(
    variable: str, wanted: str
) -> None:
    with pytest.raises(ProfileError) as refused:
        profiles_from_environment({f"{PREFIX}{variable}": "x"})
    assert str(refused.value) == f"{PREFIX}{variable}: must end in {wanted}; correct it"


def test_half_a_key_pair_names_the_variable_that_is_missing() -> None:
    for given, missing in (("ACCESS_KEY", "SECRET_KEY"), ("SECRET_KEY", "ACCESS_KEY"), ("BUCKET", "ACCESS_KEY")):
        with pytest.raises(ProfileError) as refused:
            profiles_from_environment({f"{PREFIX}MY_X_{given}": "v"})
        assert str(refused.value) == f"{PREFIX}MY_X_{missing}: not set; set it too"


def test_profiles_are_known_by_any_spelling_of_their_names_and_listed_in_order_with_all_their_keys() -> None:
    profiles = Profiles({"zeta": Profile(keys("z")), "Prod-EU": Profile(keys("p"))}, {"alpha": Profile(keys("a"))})
    assert profiles.names == ["Prod-EU", "alpha", "zeta"]
    for spelled in ("prod_eu", "PROD-EU", " prod-eu ", "\uff50rod-eu"):
        assert profiles.get(spelled, endpoint=None, bucket=None) == keys("p")
    assert [secret.get_secret_value() for secret in profiles.secrets] == [
        *("access of z", "secret of z", "access of p", "secret of p", "access of a", "secret of a")
    ]
    with pytest.raises(UnknownProfile) as refused:
        profiles.get("prodeu", endpoint=None, bucket=None)
    assert refused.value.known == profiles.names


def aws(folder: Path, text: str) -> Path:
    file = folder / "credentials"
    file.write_text(text, encoding="utf-8")
    return file


WHOLE = "[{0}]\naws_access_key_id = access of {0}\naws_secret_access_key = secret of {0}\n"


def test_only_the_allowed_sections_of_an_aws_file_become_profiles_and_a_star_allows_all_that_are_whole(
    tmp_path: Path,
) -> None:
    file = aws(tmp_path, WHOLE.format("a") + WHOLE.format("b") + "[half]\naws_access_key_id = x\n[none]\nregion = eu\n")
    assert profiles_from_aws(file, ["b"]) == {"b": Profile(keys("b"))}
    assert profiles_from_aws(file, ["b", "a"]) == {"b": Profile(keys("b")), "a": Profile(keys("a"))}
    assert profiles_from_aws(file, ["*"]) == {"a": Profile(keys("a")), "b": Profile(keys("b"))}
    assert profiles_from_aws(file, ["half", "*"]) == profiles_from_aws(file, ["*"])
    for name in ("half", "none", "missing"):
        with pytest.raises(ProfileError) as refused:
            profiles_from_aws(file, ["a", name])
        assert str(refused.value) == (
            f"PAPERSPACE_MCP_AWS_PROFILES: {file} has no key pair in profile {name!r}; correct it"
        )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"no section\n", "MissingSectionHeaderError"),
        (b"[a]\n[a]\n", "DuplicateSectionError"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        (None, "FileNotFoundError"),
    ],
)
def test_an_aws_file_that_cannot_be_read_is_named_with_the_kind_of_trouble(
    text: bytes | None, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ProfileError) as refused:
        profiles_from_aws(file, ["*"])
    assert str(refused.value) == (f"PAPERSPACE_MCP_AWS_PROFILES: {file} cannot be read ({kind}); mend it or unset this")
