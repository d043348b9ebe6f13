"""Where settings stand: one spelling each, secrets in files of their own, and files that are what they seem."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from paperspace_storage_server.settings import SettingsError, described, load_profiles, load_settings

MARK = "value-not-to-be-repeated"
M = "PAPERSPACE_MCP_"
HEX = "0123456789abcdef" * 4


def refused(**flags: object) -> str:
    """The line that stops the start; it holds no marked value and comes from no other exception."""
    with pytest.raises(SettingsError) as raised:
        load_profiles(load_settings(flags))
    line = str(raised.value)
    assert "\n" not in line
    assert MARK not in line
    assert raised.value.__cause__ is None
    return line


@pytest.mark.parametrize("field", [one.field for one in described().values() if "_" in one.field])
def test_a_setting_under_two_spellings_in_the_file_stops_the_start(field: str, home: Path) -> None:
    dashed = field.replace("_", "-")
    (home / "mcp.toml").write_text(f'{dashed} = "{MARK}"\n{field} = "{MARK}"\n', encoding="utf-8")
    assert refused() == f"{home / 'mcp.toml'}: says {dashed} and {field}, which are one setting; keep one"


@pytest.mark.skipif(os.name == "nt", reason="Windows knows one spelling of a variable")
def test_a_variable_under_two_spellings_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("paperspace_mcp_read_only", "false")
    assert load_settings({}).read_only is False
    monkeypatch.setenv(M + "READ_ONLY", "true")
    assert refused() == f"paperspace_mcp_read_only and {M}READ_ONLY: one setting under two spellings; unset one"
    monkeypatch.setenv("paperspace_mcp_read_only", "")
    assert load_settings({}).read_only is True
    monkeypatch.setenv(M + "CREDENTIAL_A_ACCESS_KEY", MARK)
    monkeypatch.setenv(M + "CREDENTIAL_a_ACCESS_KEY", MARK)
    assert "one setting under two spellings" in refused()


SECRETS = {
    "PAPERSPACE_API_KEY": "psp-key",
    "PAPERSPACE_API_TOKEN": "psp-key",
    M + "REDIS_URL": "redis://:secret@127.0.0.1",
    M + "STATE_KEYS": f"{HEX},{HEX[::-1]}",
}


@pytest.mark.parametrize(("variable", "secret"), SECRETS.items())
def test_a_secret_can_stand_in_a_file_of_its_own(
    variable: str, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = next(one.field for one in described().values() if variable in one.variables)
    file = tmp_path / "secret"
    file.write_text(secret + "\n", encoding="utf-8")
    link = tmp_path / "link"
    link.symlink_to(file)
    monkeypatch.setenv(variable, secret)
    expected = getattr(load_settings({}), field)
    monkeypatch.delenv(variable)
    monkeypatch.setenv(variable + "_FILE", str(link))
    settings = load_settings({})
    assert (getattr(settings, field), settings.origin(field)) == (expected, variable + "_FILE")
    monkeypatch.setenv(variable, secret)
    assert refused() == f"{variable} and {variable}_FILE: one setting twice; unset one"


def test_the_settings_file_may_name_the_file_of_a_secret(home: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("psp-key", encoding="utf-8")
    (home / "mcp.toml").write_text(f'api-key-file = "{tmp_path / "key"}"\n', encoding="utf-8")
    key = load_settings({}).api_key
    assert key is not None
    assert key.get_secret_value() == "psp-key"
    (home / "mcp.toml").write_text(f'api-key-file = "{tmp_path / "key"}"\napi_key = "{MARK}"\n', encoding="utf-8")
    assert refused() == f"{home / 'mcp.toml'}: says api-key-file and api_key, which are one setting; keep one"


def test_every_secret_has_a_twin_and_nothing_else_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "missing"
    for one in described().values():
        with monkeypatch.context() as patch:
            patch.setenv(one.variables[0] + "_FILE", str(file))
            expected = "expected the path of a file that holds" if one.secret else "no such setting"
            if one.secret or one.variables[0].startswith(M):  # PAPERSPACE_API_URL_FILE is not ours to judge
                assert expected in refused()


def test_a_credential_profile_takes_its_keys_from_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "access").write_text("access-1\n", encoding="utf-8")
    monkeypatch.setenv(M + "CREDENTIAL_BACKUP_ACCESS_KEY_FILE", str(tmp_path / "access"))
    monkeypatch.setenv(M + "CREDENTIAL_BACKUP_SECRET_KEY", "secret-1")
    profiles = load_profiles(load_settings({}))
    keys = profiles.get("backup", endpoint=None, bucket=None)
    assert (keys.access_key.get_secret_value(), keys.secret_key.get_secret_value()) == ("access-1", "secret-1")
    monkeypatch.setenv(M + "CREDENTIAL_BACKUP_SECRET_KEY_FILE", str(tmp_path / "access"))
    variable = M + "CREDENTIAL_BACKUP_SECRET_KEY"
    assert refused() == f"{variable} and {variable}_FILE: one setting twice; unset one"
    monkeypatch.delenv(variable)
    monkeypatch.setenv(variable + "_FILE", MARK)  # the secret itself, by mistake
    assert refused() == f"{variable}_FILE: expected the path of a file that holds the secret (FileNotFoundError)"


def test_twin_profiles_stop_the_start_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "aws"
    keys = f"aws_access_key_id={MARK}\naws_secret_access_key={MARK}\n"
    file.write_text(f"[prod-eu]\n{keys}", encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv(M + "CREDENTIAL_PROD_EU_ACCESS_KEY", MARK)
    monkeypatch.setenv(M + "CREDENTIAL_PROD_EU_SECRET_KEY", MARK)
    assert load_profiles(load_settings({})).names == ["prod_eu"]
    assert refused(aws_profiles="*").startswith("credential profiles 'prod_eu' and 'prod-eu': mean the same")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_a_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to(path.with_name("pipe"))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    path.write_bytes(b"#" * (64 * 1024 + 1))


ODD = [
    (fifo, "it is no plain file"),
    (link_to_a_fifo, "it is no plain file"),
    (device, "it is no plain file"),
    (folder, "it is no plain file"),
    (endless, "it is larger than 64 KiB"),
]


@pytest.mark.skipif(os.name == "nt", reason="no pipes and devices in the file system there")
@pytest.mark.timeout(10)
@pytest.mark.parametrize(("make", "why"), ODD, ids=lambda one: getattr(one, "__name__", None))
def test_a_settings_file_that_is_no_plain_file_stops_the_start_and_does_not_block_it(
    make: Callable[[Path], None], why: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(home / "mcp.toml")
    assert refused() == f"{home / 'mcp.toml'}: cannot be read as TOML ({why}); mend or remove it"
    (home / "mcp.toml").rename(tmp_path / "secret")
    monkeypatch.setenv("PAPERSPACE_API_KEY_FILE", str(tmp_path / "secret"))
    assert refused() == f"PAPERSPACE_API_KEY_FILE: expected the path of a file that holds the secret ({why})"
    monkeypatch.delenv("PAPERSPACE_API_KEY_FILE")
    (tmp_path / "secret").rename(home / "credentials.toml")
    (home / "config.toml").write_text('team = "red"\n', encoding="utf-8")
    assert load_settings({}).api_key is None  # another program's file: no key, and no block


def test_a_link_to_a_plain_settings_file_is_followed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("read-only = true\n", encoding="utf-8")
    (home / "mcp.toml").symlink_to(tmp_path / "real.toml")
    assert load_settings({}).read_only


DEEP = ["a = " + "[" * 60_000, "a = " + "{a=" * 20_000, "a" + ".a" * 30_000 + " = 1", "[" + "a . " * 15_000 + "a]"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("deep", DEEP, ids=lambda deep: deep[:10])
def test_a_file_that_is_nested_deeply_is_one_line(deep: str, home: Path) -> None:
    (home / "mcp.toml").write_text(deep, encoding="utf-8")
    assert refused() == (f"{home / 'mcp.toml'}: cannot be read as TOML (it is nested too deeply); mend or remove it")
    (home / "mcp.toml").unlink()
    (home / "config.toml").write_text('team = "red"\n', encoding="utf-8")
    (home / "credentials.toml").write_text(deep, encoding="utf-8")
    assert load_settings({}).api_key is None
    assert refused(team="red").startswith("PAPERSPACE_MCP_TEAM (--team): no key of that team")


def test_without_a_home_folder_nobody_can_say_whether_there_is_a_settings_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert refused() == "HOME: not set, and this user has no home directory; set it"


def test_the_team_is_the_chosen_one_of_those_that_pspace_saved(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(**flags: object) -> tuple[str | None, str | None, str | None]:
        settings = load_settings(flags)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        return settings.team, key, settings.origin("api_key")

    assert of() == (None, None, None)
    assert "it saved none; `pspace login` does" in refused(team="red")
    (home / "config.toml").write_text('team = "red"\n', encoding="utf-8")
    (home / "credentials.toml").write_text('[keys]\nred = "key-red"\nblue = "key-blue"\n', encoding="utf-8")
    assert of() == ("red", "key-red", "pspace login")
    assert of(team="blue") == ("blue", "key-blue", "pspace login")
    monkeypatch.setenv(M + "TEAM", "blue")
    assert of() == ("blue", "key-blue", "pspace login")
    assert of(team="red") == ("red", "key-red", "pspace login")
    assert "expected one of blue, red" in refused(team="green")
    assert of(sandbox=True) == ("blue", None, None)
    monkeypatch.setenv("PAPERSPACE_API_KEY", MARK)
    assert refused() == (
        "PAPERSPACE_MCP_TEAM (--team): chooses among the keys that `pspace` saved, and PAPERSPACE_API_KEY gives "
        "another key; keep one of the two"
    )
