"""The command `call`: one call of one tool, through the same settings and the same guard as a host's, for scripts.

Nobody can be asked here, so what destroys needs `--allow-destructive` and the exact name. Secrets are not taken from
the command line, where every process of the machine can read them.
"""

from __future__ import annotations

import difflib
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Container, Iterable
from typing import NoReturn, cast

from pydantic.alias_generators import to_camel

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings, SettingsError, described, holds_a_secret, in_words
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import (
    InvalidArguments,
    ProfilePinned,
    UnknownProfile,
    Unsupported,
)
from paperspace_storage_tools.text import clean
from paperspace_storage_tools.tool import AnyTool

LARGEST_INPUT = 1024 * 1024  # bytes on stdin, as of a request over HTTP
_NEVER_SENT = (InvalidArguments, UnknownProfile, ProfilePinned, Unsupported)
_ALWAYS = ("read_only", "confirm", "protect", "max_destructive")
_EPILOG = (
    "The result is JSON on stdout; a failure is one text on stderr. Exit code: 0 done; 1 the tool failed, or there is "
    "no key; 2 wrong usage, or arguments that the tool refuses before anything is sent. "
)


def add(parser: ArgumentParser) -> None:
    parser.add_argument("tool", metavar="TOOL", help="the tool's name; `tools` lists them (no variable)")
    parser.add_argument(
        "arguments",
        metavar="ARGUMENT",
        nargs="*",
        help="name=value, or a JSON object, or - for one on stdin: the only way for secrets (no variable)",
    )
    parser.add_argument(
        "--allow-destructive",
        action="store_true",
        help="call a tool that destroys; it needs confirm=NAME too, the exact name (no variable)",
    )
    add_settings(parser, "api", "selection", "guard", "logs")
    parser.epilog = _EPILOG + (parser.epilog or "")


def run(options: Namespace) -> int:
    settings = settings_of(options)
    if settings.confirm == "never":
        # Nobody has to be asked there, but here a script is all that stands between a slip and the loss.
        settings = settings.model_copy(update={"confirm": "auto"})
    tool = _tool(options.tool)
    given = arguments_of(tool, options.arguments)
    if tool.kind == "destructive" and not options.allow_destructive:
        raise SettingsError(f"{tool.name} destroys: give --allow-destructive, and confirm=NAME with the exact name")
    print(policy(settings), file=sys.stderr)

    from paperspace_storage_server.compose import compose
    from paperspace_storage_server.process.loop import run_on_loop

    service = compose(settings)
    if tool.name not in service.tools:
        raise SettingsError(f"{tool.name} does not exist under this policy; see the line above")
    outcome = run_on_loop(_call(service, tool, given))
    if outcome.failure is None:
        readable = sys.stdout.isatty()
        text = json.dumps(outcome.structured, ensure_ascii=False, indent=2) if readable else outcome.text
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")  # JSON is UTF-8, whatever the locale
        sys.stdout.flush()
        return 0
    print(outcome.text, file=sys.stderr)
    return 2 if isinstance(outcome.failure, _NEVER_SENT) else 1


def policy(settings: Settings) -> str:
    """The policy in force, as one line: what always matters, and whatever else the operator has decided; and where."""
    rules: list[str] = []
    for one in described().values():
        where = settings.origin(one.field)
        if one.field in _ALWAYS or (where and one.group in ("selection", "guard")):
            value: object = getattr(settings, one.field)
            words = "unlimited" if value is None and one.default != "none" else clean(in_words(value))
            words = "by the exact name" if one.field == "confirm" and value == "auto" else words
            rules.append(f"{one.field.replace('_', '-')} {words}{f' ({where})' if where else ''}")
    whose = f", team {clean(settings.team)}" if settings.team else ""
    return f"Policy for {'the sandbox' if settings.sandbox else settings.api_url}{whose}: {'; '.join(rules)}."


class _Script(Unasked):
    """A script, which may have a person watching."""

    async def progress(self, done: float, total: float, message: str) -> None:
        if sys.stderr.isatty():
            print(f"{message} ({done:g} of {total:g} s)", file=sys.stderr)


async def _call(service: Service, tool: AnyTool, given: dict[str, object]) -> Outcome:
    try:
        return await service.call(tool, given, _Script())
    finally:
        await service.aclose()


def _tool(name: str) -> AnyTool:
    tools = {tool.name: tool for tool in CATALOGUE}
    if name in tools:
        return tools[name]
    near = difflib.get_close_matches(name, tools, 1)
    raise SettingsError(f"TOOL: no such tool{f'; did you mean {near[0]}?' if near else ''}; `tools` lists them")


def arguments_of(tool: AnyTool, given: Iterable[str]) -> dict[str, object]:
    """The arguments, from wherever they stand.

    Raises:
        SettingsError: one that cannot be read, one given twice, or a secret on the command line; without its value.
    """
    secret = {to_camel(name) for name, field in tool.arguments.model_fields.items() if holds_a_secret(field.annotation)}
    arguments: dict[str, object] = {}
    for one in given:
        found = _json(_stdin(), "stdin") if one == "-" else _on_the_command_line(one, secret)
        for name, value in found.items():
            if to_camel(name) in map(to_camel, arguments):
                raise SettingsError(f"{clean(name)[:40]}: given twice; keep one")
            arguments[name] = value
    return arguments


def _on_the_command_line(one: str, secret: Container[str]) -> dict[str, object]:
    name, equals, value = one.partition("=")
    if one.lstrip().startswith(("{", "[", '"')):
        found = _json(one, "the JSON argument")
    elif equals:
        found = {name: cast("object", value)}
    else:
        raise SettingsError("ARGUMENT: expected name=value, a JSON object, or - for one on stdin")
    if shown := sorted(to_camel(name) for name in found if to_camel(name) in secret):
        raise SettingsError(
            f"{', '.join(shown)}: not on the command line, where every process can read it; give it as JSON on stdin "
            "(-), or name a credentialProfile"
        )
    return found


def _stdin() -> str:
    content = sys.stdin.buffer.read(LARGEST_INPUT + 1)
    if len(content) > LARGEST_INPUT:
        raise SettingsError("stdin: larger than 1 MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"stdin: not UTF-8 at byte {error.start}") from None


def _json(text: str, where: str) -> dict[str, object]:
    """An object. Raises `SettingsError`: where it stops being one; what stands there is not repeated."""
    try:
        found: object = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{where}: no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise SettingsError(f"{where}: nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
    if not isinstance(found, dict):
        raise SettingsError(f'{where}: expected an object such as {{"id": "..."}}')
    return cast("dict[str, object]", found)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{clean(twice)[:40]} is given twice; keep one")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
