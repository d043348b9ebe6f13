"""Where each host keeps its servers, on each platform, as its own documentation says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath, PureWindowsPath

import pytest

from paperspace_storage_server.commands.hosts.computer import Computer, System
from paperspace_storage_server.commands.hosts.table import HOSTS

MAC, LINUX, WINDOWS = PurePosixPath("/Users/ann"), PurePosixPath("/home/ann"), PureWindowsPath(r"C:\Users\Ann")
SUPPORT = "/Users/ann/Library/Application Support"
ROAMING = r"C:\Users\Ann\AppData\Roaming"

FILES: dict[str, tuple[str, str, str]] = {
    "claude-desktop": (
        f"{SUPPORT}/Claude/claude_desktop_config.json",
        "/home/ann/.config/Claude/claude_desktop_config.json",
        rf"{ROAMING}\Claude\claude_desktop_config.json",
    ),
    "claude-code": ("/Users/ann/.claude.json", "/home/ann/.claude.json", r"C:\Users\Ann\.claude.json"),
    "cursor": ("/Users/ann/.cursor/mcp.json", "/home/ann/.cursor/mcp.json", r"C:\Users\Ann\.cursor\mcp.json"),
    "vscode": (
        f"{SUPPORT}/Code/User/mcp.json",
        "/home/ann/.config/Code/User/mcp.json",
        rf"{ROAMING}\Code\User\mcp.json",
    ),
    "codex": ("/Users/ann/.codex/config.toml", "/home/ann/.codex/config.toml", r"C:\Users\Ann\.codex\config.toml"),
    "gemini": (
        "/Users/ann/.gemini/settings.json",
        "/home/ann/.gemini/settings.json",
        r"C:\Users\Ann\.gemini\settings.json",
    ),
    "opencode": (
        "/Users/ann/.config/opencode/opencode.json",
        "/home/ann/.config/opencode/opencode.json",
        r"C:\Users\Ann\.config\opencode\opencode.json",
    ),
    "qwen": ("/Users/ann/.qwen/settings.json", "/home/ann/.qwen/settings.json", r"C:\Users\Ann\.qwen\settings.json"),
    "continue": (
        "/Users/ann/.continue/config.yaml",
        "/home/ann/.continue/config.yaml",
        r"C:\Users\Ann\.continue\config.yaml",
    ),
}


def test_every_host_has_a_row() -> None:
    assert list(FILES) == list(HOSTS)


@pytest.mark.parametrize("name", FILES)
def test_the_user_file_of_each_platform(name: str) -> None:
    computers = (Computer("macos", MAC, {}), Computer("linux", LINUX, {}), Computer("windows", WINDOWS, {}))
    assert tuple(str(HOSTS[name].files(computer)[0]) for computer in computers) == FILES[name]


MOVED: list[tuple[str, System, PurePath, Mapping[str, str], str]] = [
    ("claude-code", "linux", LINUX, {"CLAUDE_CONFIG_DIR": "/work/claude"}, "/work/claude/.claude.json"),
    ("codex", "linux", LINUX, {"CODEX_HOME": "/work/codex"}, "/work/codex/config.toml"),
    ("gemini", "linux", LINUX, {"GEMINI_CLI_HOME": "/work/g"}, "/work/g/.gemini/settings.json"),
    ("qwen", "linux", LINUX, {"QWEN_HOME": "/work/q"}, "/work/q/settings.json"),
    ("continue", "linux", LINUX, {"CONTINUE_GLOBAL_DIR": "/work/c"}, "/work/c/config.yaml"),
    ("opencode", "linux", LINUX, {"XDG_CONFIG_HOME": "/work/x"}, "/work/x/opencode/opencode.json"),
    ("vscode", "linux", LINUX, {"XDG_CONFIG_HOME": "/work/x"}, "/work/x/Code/User/mcp.json"),
    ("vscode", "linux", LINUX, {"XDG_CONFIG_HOME": "relative"}, "/home/ann/.config/Code/User/mcp.json"),
    ("vscode", "windows", WINDOWS, {"APPDATA": r"D:\Roaming"}, r"D:\Roaming\Code\User\mcp.json"),
    ("codex", "windows", WINDOWS, {"CODEX_HOME": r"D:\codex"}, r"D:\codex\config.toml"),
]


@pytest.mark.parametrize(("name", "system", "home", "environ", "file"), MOVED)
def test_what_the_environment_moves(
    name: str, system: System, home: PurePath, environ: Mapping[str, str], file: str
) -> None:
    assert str(HOSTS[name].files(Computer(system, home, environ))[0]) == file


def test_claude_desktop_from_the_windows_store_reads_its_own_folder() -> None:
    app = PureWindowsPath(r"C:\Users\Ann\AppData\Local\Packages\Claude_pzs8sxrjxfjjc")
    computer = Computer("windows", WINDOWS, {}, (app,))
    (file,) = HOSTS["claude-desktop"].files(computer)
    assert file == app / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json"


def test_a_mac_application_is_a_sign_of_its_host() -> None:
    computer = Computer("macos", MAC, {})
    for name, application in (("claude-desktop", "Claude"), ("cursor", "Cursor"), ("vscode", "Visual Studio Code")):
        signs = HOSTS[name].signs(computer)
        assert PurePosixPath(f"/Applications/{application}.app") in signs
        assert PurePosixPath(f"/Users/ann/Applications/{application}.app") in signs
