"""`install HOST` and `uninstall HOST`, as a person runs them."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
import yaml

from hosts.conftest import Run
from paperspace_storage_server.commands.hosts.table import HOSTS

NAME = "paperspace-storage"
SANDBOX = {"PAPERSPACE_MCP_SANDBOX": "true"}
KEY = "psk-5f1c0e7a"
FOLDERS = {
    "claude-desktop": ".config/Claude",
    "claude-code": ".claude",
    "cursor": ".cursor",
    "vscode": ".config/Code",
    "codex": ".codex",
    "gemini": ".gemini",
    "opencode": ".config/opencode",
    "qwen": ".qwen",
    "continue": ".continue",
}


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def written(host: str, command: list[str]) -> tuple[str, object]:
    """The file of a host that had none, and what is in it."""
    usual = {"command": command[0], "args": command[1:], "env": SANDBOX}
    servers = {"mcpServers": {NAME: usual}}
    typed = {"type": "stdio", **usual}
    local = {"type": "local", "enabled": True, "command": command, "environment": SANDBOX}
    rows: dict[str, tuple[str, object]] = {
        "claude-desktop": (".config/Claude/claude_desktop_config.json", servers),
        "claude-code": (".claude.json", {"mcpServers": {NAME: typed}}),
        "cursor": (".cursor/mcp.json", servers),
        "vscode": (".config/Code/User/mcp.json", {"servers": {NAME: typed}}),
        "codex": (".codex/config.toml", {"mcp_servers": {NAME: usual}}),
        "gemini": (".gemini/settings.json", servers),
        "opencode": (
            ".config/opencode/opencode.json",
            {"$schema": "https://opencode.ai/config.json", "mcp": {NAME: local}},
        ),
        "qwen": (".qwen/settings.json", servers),
        "continue": (
            ".continue/config.yaml",
            {"name": "Local Config", "version": "1.0.0", "schema": "v1", "mcpServers": [{"name": NAME, **usual}]},
        ),
    }
    return rows[host]


def parsed(file: Path) -> object:
    text = file.read_text()
    if file.suffix == ".toml":
        return tomllib.loads(text)
    return yaml.safe_load(text) if file.suffix == ".yaml" else json.loads(text)


def test_the_tables_of_these_tests_have_every_host(command: list[str]) -> None:
    assert list(FOLDERS) == list(HOSTS)
    assert all(written(host, command) for host in HOSTS)


@pytest.mark.parametrize("host", FOLDERS)
def test_each_host_gets_its_entry_in_its_form_once(host: str, home: Path, run: Run, command: list[str]) -> None:
    (home / FOLDERS[host]).mkdir(parents=True)
    name, content = written(host, command)
    file = home / name
    done = run("install", host, "--sandbox")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == [
        f"{HOSTS[host].title}: {NAME} added to {file}",
        f"It starts: {' '.join(command)}",
    ]
    assert parsed(file) == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = files(home)
    again = run("install", host, "--sandbox")
    assert again == (0, f"{HOSTS[host].title}: {NAME} in {file} is as it should be\n", "")
    assert files(home) == before == {name: before[name]}


@pytest.mark.parametrize("host", FOLDERS)
def test_uninstall_takes_it_out_again_and_a_second_one_finds_nothing(
    host: str, home: Path, run: Run, command: list[str]
) -> None:
    (home / FOLDERS[host]).mkdir(parents=True)
    run("install", host, "--sandbox")
    file = home / written(host, command)[0]
    text = file.read_text()
    done = run("uninstall", host)
    lines = [f"{HOSTS[host].title}: {NAME} taken out of {file}", f"The file before: {file}.bak"]
    assert (done.code, done.out.splitlines(), done.err) == (0, lines, "")
    assert NAME not in file.read_text()
    backup = file.with_name(file.name + ".bak")
    assert (backup.read_text(), stat.S_IMODE(backup.stat().st_mode)) == (text, 0o600)
    again = run("uninstall", host)
    assert again == (0, f"{HOSTS[host].title}: there is no entry of this server in {file}\n", "")


@pytest.mark.parametrize("host", FOLDERS)
def test_a_host_that_is_not_on_this_machine_is_refused(host: str, home: Path, run: Run) -> None:
    for verb in ("install", "uninstall"):
        done = run(verb, host)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"paperspace-storage-mcp: {HOSTS[host].title} is not on this machine: looked for ")
        assert done.err.count("\n") == 1
    assert files(home) == {}


def test_a_program_on_the_path_is_enough(home: Path, run: Run) -> None:
    program = home / "no-programs" / "codex"
    program.parent.mkdir()
    program.touch(0o755)
    assert run("install", "codex").code == 0
    assert list(files(home)) == ["no-programs/codex", ".codex/config.toml"]


CURSOR = """{
  // servers of mine
  "mcpServers": {
    "github": { "command": "npx", "env": { "GITHUB_TOKEN": "ghp_secret" } } // sk-other
  }
}
"""


@pytest.fixture
def cursor(home: Path) -> Path:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(CURSOR)
    return file


def test_a_dry_run_shows_the_difference_without_a_secret_and_changes_nothing(
    cursor: Path, home: Path, run: Run, command: list[str]
) -> None:
    cursor.chmod(0o600)
    (home / ".paperspace").mkdir()
    config = home / ".paperspace" / "mcp.toml"
    config.write_text(f'api-key = "{KEY}" # mine\nprotect = "prod-*"\n')
    done = run("install", "cursor", "--with-key", "--protect", "db-*", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert (
        done.out
        == f"""--- {config}
+++ {config}
@@ -1,2 +1,2 @@
 api-key = "[hidden]" # [hidden]
-protect = "prod-*"
+protect = ["prod-*", "db-*"]
--- {cursor}
+++ {cursor}
@@ -1,6 +1,13 @@
 {{
   // [hidden]
   "mcpServers": {{
-    "github": {{ "command": "[hidden]", "env": {{ "GITHUB_TOKEN": "[hidden]" }} }} // [hidden]
+    "github": {{ "command": "[hidden]", "env": {{ "GITHUB_TOKEN": "[hidden]" }} }}, // [hidden]
+    "{NAME}": {{
+      "command": "{command[0]}",
+      "args": {json.dumps(command[1:])},
+      "env": {{
+        "PAPERSPACE_API_KEY": "[key]"
+      }}
+    }}
   }}
 }}
"""
    )
    assert files(home) == {".cursor/mcp.json": CURSOR, ".paperspace/mcp.toml": config.read_text()}
    assert run("install", "cursor", "--with-key", "--protect", "db-*").code == 0
    assert run("install", "cursor", "--with-key", "--protect", "db-*", "--dry-run") == (
        0,
        "Nothing would change.\n",
        "",
    )


def test_a_dry_run_of_an_uninstall_and_of_a_new_file(cursor: Path, home: Path, run: Run, command: list[str]) -> None:
    run("install", "cursor", "--sandbox")
    text = cursor.read_text()
    done = run("uninstall", "cursor", "--dry-run")
    assert done.out.splitlines()[-3:] == [
        '+    "github": { "command": "[hidden]", "env": { "GITHUB_TOKEN": "[hidden]" } } // [hidden]',
        "   }",
        " }",
    ]
    assert cursor.read_text() == text
    (home / ".codex").mkdir()
    done = run("install", "codex", "--dry-run")
    assert done.out == (
        f"--- {os.devnull}\n+++ {home}/.codex/config.toml\n@@ -0,0 +1,3 @@\n+[mcp_servers.{NAME}]\n"
        f"+command = {json.dumps(command[0])}\n+args = {json.dumps(command[1:])}\n"
    )
    assert not (home / ".codex" / "config.toml").exists()


def test_policy_goes_to_the_settings_file_and_the_sandbox_into_the_entry(cursor: Path, home: Path, run: Run) -> None:
    done = run(
        "install", "cursor", "--sandbox", "--read-only", "--protect", "prod-*,db-*", "--audit-file", "audit.jsonl"
    )
    config = home / ".paperspace" / "mcp.toml"
    assert done.code == 0
    audit = Path.cwd() / "audit.jsonl"
    assert done.out.splitlines()[0] == (
        f'{config} says read-only = true, protect = ["prod-*", "db-*"], audit-file = "{audit}"'
    )
    assert config.read_text() == f'read-only = true\nprotect = ["prod-*", "db-*"]\naudit-file = "{audit}"\n'
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert (
        json.loads(cursor.read_text().replace(" // sk-other", "").replace("// servers of mine", ""))["mcpServers"][
            NAME
        ]["env"]
        == SANDBOX
    )


def test_the_policy_binds_the_other_commands(cursor: Path, run: Run) -> None:
    assert "delete_snapshot" in run("tools").out
    run("install", "cursor", "--sandbox", "--read-only")
    assert "delete_snapshot" not in run("tools").out


def test_policy_is_added_to_what_protects_and_replaces_what_chooses(cursor: Path, home: Path, run: Run) -> None:
    config = home / ".paperspace" / "mcp.toml"
    config.parent.mkdir()
    config.write_text('# mine\nread_only = false\nprotect = "prod-*"\ntoolsets = ["snapshots"]\n')
    run(
        "install",
        "cursor",
        "--read-only",
        "--protect",
        "db-*,prod-*",
        "--toolsets",
        "utilization",
        "--max-destructive",
        "5/day",
    )
    assert config.read_text() == (
        '# mine\nread_only = true\nprotect = ["prod-*", "db-*"]\ntoolsets = ["utilization"]\n'
        'max-destructive = "5/day"\n'
    )
    before = files(home)
    assert run("install", "cursor", "--read-only", "--protect", "db-*", "--max-destructive", "5/day").code == 0
    assert files(home) == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--toolsets", "nothing"], "PAPERSPACE_MCP_TOOLSETS (--toolsets): expected one of"),
        (["--sandbox", "--with-key"], "--with-key: the sandbox takes no key"),
        (["--file", "mcp.json", "--with-key"], "--with-key: no key is written into a project's file"),
        (["--host", "0.0.0.0"], "no such option: --host"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(
    cursor: Path, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    monkeypatch.setenv("PAPERSPACE_API_KEY", KEY)
    done = run("install", "cursor", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert why in done.err
    assert files(home) == {".cursor/mcp.json": CURSOR}
    assert not Path("mcp.json").exists()


def test_an_unknown_host_is_exit_2_and_names_those_there_are(run: Run) -> None:
    done = run("install", "clippy")
    assert (done.code, done.out) == (2, "")
    assert all(host in done.err for host in HOSTS)


def test_the_key_is_written_only_when_asked_for_and_stays(
    cursor: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERSPACE_API_KEY", KEY)
    done = run("install", "cursor")
    assert done.err == (
        "The key comes from PAPERSPACE_API_KEY, which the host may not hand on: run `pspace login`, or this again with "
        "--with-key.\n"
    )
    assert KEY not in cursor.read_text()
    cursor.chmod(0o600)
    done = run("install", "cursor", "--with-key")
    assert (done.code, done.err) == (0, "")
    assert KEY not in done.out
    assert f'"PAPERSPACE_API_KEY": "{KEY}"' in cursor.read_text()
    monkeypatch.delenv("PAPERSPACE_API_KEY")
    assert run("install", "cursor", "--name", "paperspace-storage").err == ""
    cursor.write_text(cursor.read_text().replace('"serve"', '"--sandbox"'))
    done = run("install", "cursor")
    assert (done.code, done.err) == (0, "")
    assert KEY in cursor.read_text()


def test_a_key_is_not_written_where_others_can_read_it_nor_without_one(
    cursor: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor.chmod(0o600)
    assert run("install", "cursor", "--with-key") == (
        1,
        "",
        "paperspace-storage-mcp: --with-key: there is no key to write; set PAPERSPACE_API_KEY for this command, or run "
        "`pspace login`\n",
    )
    cursor.chmod(0o604)
    monkeypatch.setenv("PAPERSPACE_API_KEY", KEY)
    done = run("install", "cursor", "--with-key")
    assert (done.code, done.out) == (1, "")
    assert "others on this machine may read it" in done.err
    assert cursor.read_text() == CURSOR


def test_a_key_in_the_settings_file_reaches_every_host(cursor: Path, home: Path, run: Run) -> None:
    (home / ".paperspace").mkdir()
    (home / ".paperspace" / "mcp.toml").write_text(f'api-key = "{KEY}"\n')
    assert run("install", "cursor").err == ""


def test_without_any_key_it_says_so(cursor: Path, run: Run) -> None:
    assert run("install", "cursor").err == "There is no API key yet: run `pspace login`, then restart the host.\n"


def test_an_entry_of_theirs_keeps_its_name_and_what_else_is_in_it(home: Path, run: Run, command: list[str]) -> None:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(
        '[mcp_servers.storage] # mine\ncommand = "uvx"\nargs = ["paperspace-storage-mcp"]\ntool_timeout_sec = 90\n'
        'env = { PAPERSPACE_MCP_SANDBOX = "true", HTTPS_PROXY = "http://p" }\n'
    )
    assert run("install", "codex").out.splitlines()[0] == f"Codex: storage changed in {file}"
    assert tomllib.loads(file.read_text()) == {
        "mcp_servers": {
            "storage": {
                "command": command[0],
                "args": command[1:],
                "tool_timeout_sec": 90,
                "env": {"HTTPS_PROXY": "http://p"},
            }
        }
    }
    assert file.read_text().startswith("[mcp_servers.storage] # mine\n")


def test_the_last_variable_goes_with_its_table(home: Path, run: Run, command: list[str]) -> None:
    for host in FOLDERS:
        (home / FOLDERS[host]).mkdir(parents=True)
        assert run("install", host, "--sandbox").code == 0
        assert run("install", host).code == 0
        file = home / written(host, command)[0]
        assert "env" not in file.read_text().replace(command[0], "")


def test_two_entries_are_left_until_one_is_named(cursor: Path, home: Path, run: Run) -> None:
    a, b = {"command": "uvx", "args": ["paperspace-storage-mcp"]}, {"command": "/x/paperspace-storage-mcp"}
    two = json.dumps({"mcpServers": {"a": a, "b": b}})
    cursor.write_text(two)
    for verb in ("install", "uninstall"):
        assert run(verb, "cursor") == (
            1,
            "",
            f"paperspace-storage-mcp: Cursor has 2 entries of this server: a in {cursor}, b in {cursor}; say which "
            "with --name or --file, or take one away\n",
        )
    assert files(home) == {".cursor/mcp.json": two}
    assert run("uninstall", "cursor", "--name", "b").code == 0
    assert json.loads(cursor.read_text()) == {
        "mcpServers": {"a": {"command": "uvx", "args": ["paperspace-storage-mcp"]}}
    }


def test_a_name_twice_in_one_file_is_damage(cursor: Path, home: Path, run: Run) -> None:
    entry = f'"{NAME}": {{"command": "uvx", "args": ["paperspace-storage-mcp"]}}'
    cursor.write_text(f'{{"mcpServers": {{{entry}, {entry}}}}}')
    before = files(home)
    for verb in ("install", "uninstall"):
        done = run(verb, "cursor")
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert f'"{NAME}" stands there twice' in done.err
    assert files(home) == before


def test_another_program_under_our_name_is_left(cursor: Path, home: Path, run: Run) -> None:
    text = f'{{"mcpServers": {{"{NAME}": {{"url": "https://example.com/mcp"}}}}}}'
    cursor.write_text(text)
    done = run("install", "cursor")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert f"has an entry {NAME} that starts something else; give this one a name with --name" in done.err
    assert run("uninstall", "cursor").code == 0
    assert files(home) == {".cursor/mcp.json": text}
    assert run("install", "cursor", "--name", "storage").code == 0
    assert list(json.loads(cursor.read_text())["mcpServers"]) == [NAME, "storage"]


@pytest.mark.parametrize("name", ["a b", "1a", "", "x" * 65, 'a"b'])
def test_a_name_that_not_every_host_takes_is_refused(cursor: Path, run: Run, name: str) -> None:
    done = run("install", "cursor", "--name", name)
    assert (done.code, cursor.read_text()) == (1, CURSOR)
    assert "--name: not every host takes that" in done.err


DAMAGED = [
    (
        "claude-code",
        ".claude.json",
        "{ // mine\n}",
        "damaged (line 1, column 3: a comment, which this file may not have)",
    ),
    (
        "cursor",
        ".cursor/mcp.json",
        '{"mcpServers": {',
        'damaged (line 1, column 17: a name in double quotes, or "}", was expected)',
    ),
    ("vscode", ".config/Code/User/mcp.json", '{"servers": []}', 'damaged ("servers" is no table of entries)'),
    ("vscode", ".config/Code/User/mcp.json", "[]", "damaged (the whole is no table of entries)"),
    (
        "gemini",
        ".gemini/settings.json",
        '{"a": 1,}',
        'damaged (line 1, column 8: a comma before "}", which this file may not have)',
    ),
    ("codex", ".codex/config.toml", "a = [", "damaged (end of document: no TOML)"),
    ("continue", ".continue/config.yaml", "a: [", "damaged (line 1, column 5: no YAML)"),
    ("continue", ".continue/config.yaml", "mcpServers: 1", "damaged (mcpServers is no list)"),
]


@pytest.mark.parametrize(("host", "name", "text", "why"), DAMAGED)
def test_a_damaged_file_is_left_alone_with_a_clear_word(
    host: str, name: str, text: str, why: str, home: Path, run: Run
) -> None:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for verb in ("install", "uninstall"):
        done = run(verb, host, *(["--read-only"] if verb == "install" else []))
        line = f"paperspace-storage-mcp: {file}: {why}; left as it is. Mend it, then run this again\n"
        assert done == (1, "", line)
    assert files(home) == {name: text}


def test_a_linked_file_is_refused(home: Path, run: Run) -> None:
    (home / ".codex").mkdir()
    (home / "dotfiles.toml").write_text("a = 1\n")
    (home / ".codex" / "config.toml").symlink_to(home / "dotfiles.toml")
    done = run("install", "codex", "--read-only")
    assert done == (
        1,
        "",
        f"paperspace-storage-mcp: {home}/.codex/config.toml: a link, which is not followed; left as it is\n",
    )
    assert (home / "dotfiles.toml").read_text() == "a = 1\n"
    assert not (home / ".paperspace").exists()


def test_a_linked_settings_file_is_refused_before_anything_is_written(cursor: Path, home: Path, run: Run) -> None:
    (home / ".paperspace").mkdir()
    (home / "mine.toml").write_text("read-only = true\n")
    (home / ".paperspace" / "mcp.toml").symlink_to(home / "mine.toml")
    done = run("install", "cursor", "--protect", "prod-*")
    assert (done.code, done.out) == (1, "")
    assert "mcp.toml: a link, which is not followed" in done.err
    assert cursor.read_text() == CURSOR
    assert run("install", "cursor").code == 0  # it need not be touched


def test_a_projects_file_is_made_readable_for_the_project(run: Run, tmp_path: Path, command: list[str]) -> None:
    mask = os.umask(0o022)
    try:
        done = run("install", "vscode", "--sandbox", "--file", ".vscode/mcp.json")
    finally:
        os.umask(mask)
    file = tmp_path / ".vscode" / "mcp.json"
    assert (done.code, done.out.splitlines()[0]) == (0, f"VS Code: {NAME} added to {file}")
    assert parsed(file) == {
        "servers": {NAME: {"type": "stdio", "command": command[0], "args": command[1:], "env": SANDBOX}}
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_linked_folder_of_a_project_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".vscode").symlink_to(tmp_path / "elsewhere")
    done = run("install", "vscode", "--file", ".vscode/mcp.json")
    assert done.code == 1
    assert ".vscode: a link, which is not followed" in done.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_naming_the_users_own_file_is_no_project(cursor: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERSPACE_API_KEY", KEY)
    cursor.chmod(0o600)
    assert run("install", "cursor", "--with-key", "--file", cursor).code == 0
    assert KEY in cursor.read_text()


def test_opencode_is_written_to_in_the_file_that_it_has(home: Path, run: Run) -> None:
    file = home / ".config" / "opencode" / "opencode.jsonc"
    file.parent.mkdir(parents=True)
    file.write_text('{\n  // mine\n  "theme": "system",\n}\n')
    assert run("install", "opencode").code == 0
    assert file.read_text().startswith('{\n  // mine\n  "theme": "system",\n  "mcp": {')
    assert not file.with_name("opencode.json").exists()


def test_continue_is_not_moved_from_one_configuration_to_another(home: Path, run: Run) -> None:
    (home / ".continue").mkdir()
    (home / ".continue" / "config.json").write_text("{}")
    done = run("install", "continue")
    assert (done.code, done.out) == (1, "")
    assert f"would take the place of {home}/.continue/config.json, which Continue reads now" in done.err
    assert files(home) == {".continue/config.json": "{}"}


def test_a_temporary_installation_is_written_with_a_word_and_a_cached_one_is_not(
    cursor: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "venv"
    prefix.mkdir()
    monkeypatch.setattr("sys.prefix", str(prefix))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = run("install", "cursor", "--sandbox")
    assert done.code == 0
    assert done.err.startswith(f"This installation stands in a folder for temporary files ({tmp_path})")
    (tmp_path / "CACHEDIR.TAG").touch()
    text = cursor.read_text()
    done = run("install", "cursor", "--sandbox")
    assert (done.code, done.out, cursor.read_text()) == (1, "", text)
    assert f"stands in a cache ({tmp_path})" in done.err


def test_the_team_that_was_chosen_goes_with_no_other_key(cursor: Path, home: Path, run: Run) -> None:
    folder = home / ".paperspace"
    folder.mkdir()
    (folder / "config.toml").write_text('team = "a"\n')
    (folder / "credentials.toml").write_text(f'[keys]\na = "key-of-a"\nb = "{KEY}"\n')
    cursor.chmod(0o600)
    done = run("install", "cursor", "--team", "b", "--with-key")
    assert (done.code, done.out) == (2, "")
    assert run("install", "cursor", "--team", "b").code == 0
    assert (folder / "mcp.toml").read_text() == 'team = "b"\n'
    assert run("install", "cursor", "--with-key").code == 2
    (folder / "mcp.toml").unlink()
    assert run("install", "cursor", "--with-key").code == 0
    assert "key-of-a" in cursor.read_text()


def test_without_a_home_there_is_nothing_to_install_into(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    done = run("uninstall", "cursor")
    assert done == (1, "", "paperspace-storage-mcp: HOME: not set, and this user has no home directory; set it\n")
