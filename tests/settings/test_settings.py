"""Settings: flag over environment over file over default; every mistake one line that names the setting only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from paperspace_storage_server.__main__ import main
from paperspace_storage_server.calls.service import select
from paperspace_storage_server.settings import (
    Limit,
    Settings,
    SettingsError,
    described,
    load_profiles,
    load_settings,
)
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import UnknownProfile

MARK = "value-not-to-be-repeated"
M = "PAPERSPACE_MCP_"


# field, environment variable, then (as text, as TOML, as it is read) for flag, environment and file; the default
KINDS: list[tuple[str, str, tuple[str, object], tuple[str, object], tuple[str, object], object]] = [
    (
        "api_url",
        "PAPERSPACE_API_URL",
        ("https://a.example/v1/", "https://a.example/v1"),
        ("http://127.0.0.1:8/v1", "http://127.0.0.1:8/v1"),
        ('"https://c.example"', "https://c.example"),
        "https://api.paperspace.com/v1",
    ),
    ("dialect", M + "DIALECT", ("live", "live"), ("published", "published"), ('"live"', "live"), "auto"),
    ("sandbox", M + "SANDBOX", ("true", True), ("1", True), ("true", True), False),
    ("read_only", M + "READ_ONLY", ("true", True), ("yes", True), ("true", True), False),
    (
        "toolsets",
        M + "TOOLSETS",
        ("snapshots", ["snapshots"]),
        ("utilization, snapshots,", ["utilization", "snapshots"]),
        ('["shared-drives"]', ["shared-drives"]),
        [],
    ),
    (
        "exclude_tools",
        M + "EXCLUDE_TOOLS",
        ("get_snapshot", ["get_snapshot"]),
        ("list_snapshots", ["list_snapshots"]),
        ('"update_snapshot"', ["update_snapshot"]),
        [],
    ),
    ("protect", M + "PROTECT", ("a-*, b", ["a-*", "b"]), ("c", ["c"]), ('["d", "e"]', ["d", "e"]), []),
    ("call_timeout", M + "CALL_TIMEOUT", ("9.5", 9.5), ("8", 8.0), ("7", 7.0), 50.0),
    ("max_attempts", M + "MAX_ATTEMPTS", ("3", 3), ("2", 2), ("1", 1), 4),
    ("audit_file", M + "AUDIT_FILE", ("a", Path("a")), ("stderr", "stderr"), ('"c"', Path("c")), None),
    ("log_level", M + "LOG_LEVEL", ("DEBUG", "debug"), ("info", "info"), ('"error"', "error"), "warning"),
    ("confirm", M + "CONFIRM", ("never", "never"), ("person", "person"), ('"never"', "never"), "auto"),
    (
        "max_destructive",
        M + "MAX_DESTRUCTIVE",
        ("3/day", Limit(3, 86_400)),
        ("unlimited", None),
        ("0", Limit(0, 3600)),
        Limit(50, 3600),
    ),
    ("surfaces", M + "SURFACES", ("mcp", ["mcp"]), ("mcp,", ["mcp"]), ('["mcp"]', ["mcp"]), ["mcp"]),
    ("rate", M + "RATE", ("7", 7), ("unlimited", None), ("8", 8), 600),
    ("open_to_issuer", M + "OPEN_TO_ISSUER", ("off", False), ("no", False), ("false", False), False),
    ("log_format", M + "LOG_FORMAT", ("text", "text"), ("json", "json"), ('"json"', "json"), "text"),
    (
        "trusted_proxies",
        M + "TRUSTED_PROXIES",
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("::1,10.1.1.1", ["::1", "10.1.1.1"]),
        ("[]", []),
        [],
    ),
    ("port", M + "PORT", ("1", 1), ("2", 2), ("3", 3), 8000),
]


@pytest.mark.parametrize(
    ("field", "variable", "flag", "environment", "file", "default"), KINDS, ids=lambda x: str(x)[:20]
)
def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    field: str,
    variable: str,
    flag: tuple[str, object],
    environment: tuple[str, object],
    file: tuple[str, object],
    default: object,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(**flags: object) -> object:
        return getattr(load_settings(flags), field)

    assert read() == default
    monkeypatch.setenv(variable, "")
    assert read() == default  # empty is unset
    for name in (field, field.replace("_", "-")):
        (home / "mcp.toml").write_text(f"{name} = {file[0]}\n", encoding="utf-8")
        assert read() == file[1]
    monkeypatch.setenv(variable, environment[0])
    assert read() == environment[1]
    assert read(**{field: flag[0]}) == flag[1]


WRONG: list[tuple[dict[str, str], str, str]] = [
    ({"PAPERSPACE_API_KEY": f"{MARK} two"}, "", "PAPERSPACE_API_KEY: expected a key as Paperspace shows it"),
    ({"PAPERSPACE_API_KEY": f"{MARK}\r\nx: y"}, "", "PAPERSPACE_API_KEY: expected a key as Paperspace shows it"),
    ({"PAPERSPACE_API_TOKEN": f"{MARK}\u20ac"}, "", "PAPERSPACE_API_KEY: expected a key as Paperspace shows it"),
    ({M + "TOOLSETS": f"snapshots,{MARK}"}, "", "PAPERSPACE_MCP_TOOLSETS (--toolsets): expected one of shared-drives"),
    ({M + "TOOLSETS": ","}, "", "PAPERSPACE_MCP_TOOLSETS (--toolsets): expected at least one of them"),
    ({}, "tools = []", "PAPERSPACE_MCP_TOOLS (--tools): expected at least one of them"),
    ({M + "TOOLS": "list_snapshot"}, "", "PAPERSPACE_MCP_TOOLS (--tools): expected names of tools, such as list_snaps"),
    ({M + "EXCLUDE_TOOLS": MARK}, "", "PAPERSPACE_MCP_EXCLUDE_TOOLS (--exclude-tools): expected names of tools"),
    ({M + "CALL_TIMEOUT": MARK}, "", "PAPERSPACE_MCP_CALL_TIMEOUT (--call-timeout): expected a number"),
    ({M + "CALL_TIMEOUT": "0"}, "", "PAPERSPACE_MCP_CALL_TIMEOUT (--call-timeout): expected more than 0"),
    ({}, "call-timeout = 4000", "PAPERSPACE_MCP_CALL_TIMEOUT (--call-timeout): expected at most 3600; it stands in "),
    ({M + "CALL_TIMEOUT": "nan"}, "", "PAPERSPACE_MCP_CALL_TIMEOUT (--call-timeout): expected "),
    ({M + "MAX_ATTEMPTS": "0"}, "", "PAPERSPACE_MCP_MAX_ATTEMPTS (--max-attempts): expected at least 1"),
    ({M + "MAX_ATTEMPTS": "2.5"}, "", "PAPERSPACE_MCP_MAX_ATTEMPTS (--max-attempts): expected a whole number"),
    ({M + "RATE": "0"}, "", "PAPERSPACE_MCP_RATE (--rate): expected at least 1"),
    ({M + "RATE": MARK}, "", "PAPERSPACE_MCP_RATE (--rate): expected a whole number"),
    ({M + "TEAM": MARK, "PAPERSPACE_API_KEY": "k"}, "", "PAPERSPACE_MCP_TEAM (--team): chooses among the keys that"),
    ({}, "protect = 7", "PAPERSPACE_MCP_PROTECT (--protect): expected a list; it stands in "),
    ({}, "[protect]", "PAPERSPACE_MCP_PROTECT (--protect): expected a list; it stands in "),
    ({}, "api-url = 7", "PAPERSPACE_API_URL (--api-url): expected text; it stands in "),
    ({M + "API_KEY": MARK}, "", "PAPERSPACE_MCP_API_KEY: no such setting; did you mean PAPERSPACE_API_KEY?"),
    ({M + "PORT": "65536"}, "", "PAPERSPACE_MCP_PORT (--port): expected at most 65535"),
    ({M + "READONLY": MARK}, "", "PAPERSPACE_MCP_READONLY: no such setting; did you mean PAPERSPACE_MCP_READ_ONLY?"),
    ({}, f'redonly = "{MARK}"', "redonly: no such setting; did you mean read_only?"),
    ({}, f'dialect = "{MARK}', "mcp.toml: cannot be read as TOML"),
    ({"PAPERSPACE_API_URL": f"http://{MARK}.example/v1"}, "", "PAPERSPACE_API_URL (--api-url): expected https"),
    (
        {"PAPERSPACE_API_URL": f"https://u:{MARK}@a.example"},
        "",
        "PAPERSPACE_API_URL (--api-url): expected a URL without",
    ),
    ({"PAPERSPACE_API_URL": f"ftp://{MARK}"}, "", "PAPERSPACE_API_URL (--api-url): expected a URL such as"),
    (
        {"PAPERSPACE_API_URL": f"https://a.example/?{MARK}"},
        "",
        "PAPERSPACE_API_URL (--api-url): expected a URL such as",
    ),
    ({"PAPERSPACE_API_URL": f"https://a.example:{MARK}"}, "", "PAPERSPACE_API_URL (--api-url): expected a URL such as"),
]


@pytest.mark.parametrize(("environment", "file", "line"), WRONG, ids=lambda x: str(x)[:45])
def test_a_mistake_is_one_line_that_names_the_setting_and_never_its_value(
    environment: dict[str, str], file: str, line: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (home / "mcp.toml").write_text(file + "\n", encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load_settings({})
    text = str(raised.value)
    assert line in text
    assert "\n" not in text
    assert MARK not in text
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("field", [one.field for one in described().values() if one.choices])
def test_the_choices_of_a_setting_are_those_of_its_type(field: str, home: Path) -> None:
    setting = described()[field]
    expected = f"{setting.name}: expected one of {', '.join(setting.choices)}"
    with pytest.raises(SettingsError) as raised:
        load_settings({field: MARK})
    assert str(raised.value) == expected
    (home / "mcp.toml").write_text(f'{field} = "{MARK}"\n', encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load_settings({})
    assert str(raised.value) == f"{expected}; it stands in {home / 'mcp.toml'}"


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ("50/hour", Limit(50, 3600)),
        (" 2 / minute ", Limit(2, 60)),
        ("1/Day", Limit(1, 86_400)),
        ("0", Limit(0, 3600)),
        ("0/day", Limit(0, 86_400)),
        (0, Limit(0, 3600)),
        ("Unlimited", None),
    ],
)
def test_a_limit_is_a_number_per_time_or_none_at_all_or_unlimited(given: object, limit: Limit | None) -> None:
    assert load_settings({"max_destructive": given}).max_destructive == limit


@pytest.mark.parametrize(
    "given", ["50", "-1/hour", "5/week", "5 per hour", "1.5/hour", "", "none", "²/hour", "1e9/day"]
)
def test_no_other_limit_is_taken(given: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({"max_destructive": given})
    assert str(raised.value) == (
        "PAPERSPACE_MCP_MAX_DESTRUCTIVE (--max-destructive): expected a number per minute, hour, day, such as 50/hour, "
        "or 0, or unlimited"
    )


def test_a_home_folder_is_found_where_no_shell_has_replaced_it(home: Path) -> None:
    assert load_settings({"audit_file": "~/audit.jsonl"}).audit_file == home.parent / "audit.jsonl"


def test_a_setting_says_where_it_comes_from(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mcp.toml").write_text('dialect = "live"\nread-only = true\nport = 1\n', encoding="utf-8")
    monkeypatch.setenv(M + "PORT", "2")
    monkeypatch.setenv("PAPERSPACE_API_TOKEN", "key")
    settings = load_settings({"dialect": "auto"})
    assert [settings.origin(field) for field in ("dialect", "read_only", "port", "api_key", "tools")] == [
        *("--dialect", str(home / "mcp.toml"), M + "PORT", "PAPERSPACE_API_TOKEN", None)
    ]


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:8099/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://localhost/v1", True),
        ("http://api.localhost/v1", True),
        ("http://[::1]:9/v1", True),
        ("https://10.0.0.1/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.example/v1", False),
        ("http://127.0.0.1.example/v1", False),
        ("http://0.0.0.0/v1", False),
        ("http:///v1", False),
        ("127.0.0.1", False),
        ("https://", False),
    ],
)
def test_plain_http_goes_to_loopback_only(url: str, taken: bool) -> None:
    if taken:
        assert load_settings({"api_url": url}).api_url == url
    else:
        with pytest.raises(SettingsError, match="PAPERSPACE_API_URL"):
            load_settings({"api_url": url})


def _key(**flags: object) -> str | None:
    key = load_settings(flags).api_key
    return key.get_secret_value() if key else None


def test_the_key_comes_from_the_environment_else_from_the_pspace_login(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _key() is None
    (home / "config.toml").write_text('team = "red"\n', encoding="utf-8")
    (home / "credentials.toml").write_text('[keys]\nred = "key-red"\nblue = "key-blue"\n', encoding="utf-8")
    assert _key() == "key-red"
    assert _key(sandbox=True) is None
    monkeypatch.setenv("PAPERSPACE_API_TOKEN", "key-token")
    assert _key() == "key-token"
    monkeypatch.setenv("PAPERSPACE_API_KEY", "key-key")
    assert _key() == "key-key"
    assert "key-key" not in repr(load_settings({}))
    (home / "mcp.toml").write_text('api-key = "key-file"\n', encoding="utf-8")
    assert _key() == "key-key"
    monkeypatch.delenv("PAPERSPACE_API_KEY")
    assert _key() == "key-token"
    monkeypatch.delenv("PAPERSPACE_API_TOKEN")
    assert _key() == "key-file"
    (home / "mcp.toml").unlink()
    monkeypatch.setenv("PAPERSPACE_API_TOKEN", "key-token")
    monkeypatch.setenv("PAPERSPACE_API_KEY", "")
    assert _key() == "key-token"
    monkeypatch.setenv("PAPERSPACE_API_TOKEN", "")
    assert _key() == "key-red"


@pytest.mark.parametrize(
    ("config", "credentials"),
    [
        ('team = "green"', '[keys]\nred = "k"'),
        ("team = 7", '[keys]\nred = "k"'),
        ('team = "red"', 'keys = "k"'),
        ('team = "red"', "[keys]\nred = 7"),
        ('team = "red"', '[keys]\nred = ""'),
        ('team = "red"', '[keys]\nred = "k\u20ac"'),
        ('team = "red', '[keys]\nred = "k"'),
        ('team = "red"', "\x00"),
    ],
)
def test_a_damaged_pspace_login_is_no_key_and_stops_nothing(home: Path, config: str, credentials: str) -> None:
    (home / "config.toml").write_text(config, encoding="utf-8")
    (home / "credentials.toml").write_text(credentials, encoding="utf-8")
    assert _key() is None


@pytest.mark.parametrize(("given", "key"), [("key-1\n", "key-1"), ("  key-1 ", "key-1"), ("  ", None)])
def test_blanks_around_a_key_are_no_part_of_it(given: str, key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERSPACE_API_KEY", given)
    assert _key() == key


READS = {tool.name for tool in CATALOGUE if tool.kind == "read"}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, {tool.name for tool in CATALOGUE}),
        ({"read_only": True}, READS),
        ({"read_only": True, "tools": "delete_snapshot,get_snapshot"}, {"get_snapshot"}),
        ({"read_only": True, "tools": "delete_snapshot"}, set[str]()),
        ({"toolsets": "utilization"}, {"get_storage_utilization"}),
        ({"toolsets": "utilization,snapshots", "tools": "get_snapshot,get_shared_drive"}, {"get_snapshot"}),
        ({"toolsets": "utilization", "exclude_tools": "get_storage_utilization"}, set[str]()),
        ({"tools": "get_snapshot,list_snapshots", "exclude_tools": "get_snapshot"}, {"list_snapshots"}),
    ],
)
def test_only_the_selected_tools_exist_and_read_only_wins(given: dict[str, Any], names: set[str]) -> None:
    assert {tool.name for tool in select(load_settings(given))} == names


def test_no_flag_lifts_a_read_only_that_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(M + "READ_ONLY", "true")
    assert load_settings({}).read_only
    with pytest.raises(SystemExit) as left:
        main(["tools", "--no-read-only"])
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_credential_profile_is_read_whole_or_named_as_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_ARTIFACTS_ACCESS_KEY", MARK)
    with pytest.raises(SettingsError) as raised:
        load_profiles(load_settings({}))
    assert str(raised.value) == "PAPERSPACE_MCP_CREDENTIAL_ARTIFACTS_SECRET_KEY: not set; set it too"
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_ARTIFACTS_SECRET_KEY", "secret-" + MARK)
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_COLD_STORE_ACCESS_KEY", "c")
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_COLD_STORE_SECRET_KEY", "d")
    profiles = load_profiles(load_settings({}))
    assert profiles.names == ["artifacts", "cold_store"]
    assert profiles.secrets == [SecretStr(text) for text in (MARK, "secret-" + MARK, "c", "d")]
    assert MARK not in repr(profiles.secrets)
    with pytest.raises(UnknownProfile) as unknown:
        profiles.get("archive", endpoint=None, bucket=None)
    assert unknown.value.known == ["artifacts", "cold_store"]


def test_a_setting_cannot_be_changed_after_the_start() -> None:
    settings: Settings = load_settings({})
    with pytest.raises(ValueError, match="frozen"):
        settings.read_only = True
