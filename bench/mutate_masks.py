"""Take each mask away in turn and see that the sweep of marked secrets notices.

    PYTHONPATH=server:tools:tests python bench/mutate_masks.py    # a line a mask; exit 1 where one could go unnoticed

A mask whose loss nothing notices is either not needed or not tested; this says so of none.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from pydantic import SecretStr
from pydantic_core import ErrorDetails, from_json, to_json

from paperspace_storage_server.api import storage as api
from paperspace_storage_server.calls import call, validate
from paperspace_storage_server.guard import hygiene, secrets, spelling
from paperspace_storage_server.process import logs
from paperspace_storage_server.wire.messages import Request
from paperspace_storage_tools import arguments, catalogue
from support.guarded import API_KEY, PROFILES
from support.secrets_sweep import sweep

T = TypeVar("T")
Mutation = Callable[[ExitStack], None]


def _swap(target: Any, name: str, value: Any) -> Mutation:
    return lambda stack: stack.enter_context(patch.object(target, name, value))


def _keep_without(*lost: str) -> Mutation:
    real = secrets.Vault.keep

    def keep(self: secrets.Vault, secret: SecretStr) -> None:
        if secret.get_secret_value() not in lost:
            real(self, secret)

    return _swap(secrets.Vault, "keep", keep)


def _forget_answers(stack: ExitStack) -> None:
    real = api.PaperspaceStorage

    def deaf(upstream: Any, budget: Any, learn: Any, notice: Any, quoting: Any) -> Any:
        del learn
        return real(upstream, budget, lambda _: None, notice, quoting)

    stack.enter_context(patch.object(call, "PaperspaceStorage", deaf))


def _open_arguments(stack: ExitStack) -> None:
    """Secret arguments are plain text in whatever shows the arguments: the audit file."""
    real = arguments.Arguments.model_dump

    def dump(self: arguments.Arguments, **how: Any) -> dict[str, Any]:
        opened = {name: value.get_secret_value() for name, value in vars(self).items() if isinstance(value, SecretStr)}
        return {**real(self, **how), **opened}

    stack.enter_context(patch.object(arguments.Arguments, "model_dump", dump))
    _swap(hygiene.Hygiene, "for_audit", _same)(stack)


def _show_input(stack: ExitStack) -> None:
    for tool in catalogue.CATALOGUE:
        stack.callback(tool.arguments.model_rebuild, force=True)  # runs after the setting is back
        stack.enter_context(patch.dict(tool.arguments.model_config, {"hide_input_in_errors": False}))
        tool.arguments.model_rebuild(force=True)


def _pydantic_text(one: ErrorDetails, model: object) -> str:
    del model
    return str(one)


def _plain_format(self: logs.MaskingFormatter, record: logging.LogRecord) -> str:
    return logging.Formatter.format(self, record)


def _whole_request(self: Request) -> str:
    return f"{self.body!r}"


def _same(self: object, value: T, *_: object) -> T:
    return value


def _result(self: object, value: hygiene.Json) -> tuple[hygiene.Json, str]:
    return value, to_json(value).decode()


def _spelled(self: object, text: str, notice: str = "") -> str:
    return to_json({**from_json(text), "notice": notice}).decode() if notice else text


def _results_as_they_come(stack: ExitStack) -> None:
    """In both forms: a result that is spelled already, and one that is an object yet."""
    _swap(hygiene.Hygiene, "result", _result)(stack)
    _swap(hygiene.Hygiene, "spelled", _spelled)(stack)


def _as_it_is(text: str) -> list[spelling.View]:
    return [spelling.View(text, range(len(text)), range(1, len(text) + 1))]


def _without_hex(secret: str) -> tuple[str, ...]:
    hexadecimal = secret.encode().hex()
    return tuple(one for one in spelling.spellings(secret) if one.lower() != hexadecimal)


def _base64_alone(secret: str) -> tuple[str, ...]:
    inside = spelling.in_base64(secret)[2:]
    return tuple(one for one in spelling.spellings(secret) if one not in inside)


def _none_in_what_the_api_makes(self: secrets.Vault, text: str, kind: secrets.TextKind, *, keep: int = 0) -> str:
    return text if kind == "made" else _real_mask(self, text, kind, keep=keep)


def _chatty(level: str, vault: secrets.Vault) -> None:
    _real_log(level, vault)
    for name in ("httpx", "mcp"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def _says(value: object) -> Callable[..., object]:
    """Whatever it is asked, it answers this."""
    return lambda *_given, **_named: value


def _cut(most: int) -> Callable[[object, str], str]:
    return lambda _, text: text[:most]


_real_log = logs.log_to_stderr
_real_mask = secrets.Vault.mask

MASKS: dict[str, Mutation] = {
    "Hygiene.result and Hygiene.spelled": _results_as_they_come,
    "Hygiene.failure": _swap(hygiene.Hygiene, "failure", _same),
    "Hygiene.progress": _swap(hygiene.Hygiene, "progress", _same),
    "Hygiene.for_person": _swap(hygiene.Hygiene, "for_person", _same),
    "Hygiene.for_audit": _swap(hygiene.Hygiene, "for_audit", _same),
    "messages masked before they are cut": _swap(hygiene.Hygiene, "message", _cut(300)),
    "codes masked before they are cut": _swap(hygiene.Hygiene, "code", _cut(40)),
    "cleaning before masking": _swap(hygiene, "clean", str),
    "secret arguments heard": _swap(secrets.Vault, "hear", _says(None)),
    "secrets in answers learned": _forget_answers,
    "the API key kept": _keep_without(API_KEY),
    "profiles' keys kept": _keep_without(*PROFILES["team"]),
    "parts of secrets in sentences": _swap(secrets, "_parts", _says(())),
    "whole secrets in names": _swap(secrets, "_whole", _says(())),
    "the operator's secrets in what the API makes": _swap(secrets.Vault, "mask", _none_in_what_the_api_makes),
    "the quick look for the operator's secrets": _swap(secrets.Vault, "may_hold", _says(False)),
    "the quick look for other secrets": _swap(secrets.Vault, "may_hold_others", _says(False)),
    "the quick look at one text": _swap(secrets, "_may_hold", _says(False)),
    "sentences in the quick look": _swap(hygiene, "SAID", frozenset[str]()),
    "escapes undone": _swap(secrets, "views", _as_it_is),
    "secrets in hex": _swap(secrets, "spellings", _without_hex),
    "secrets within base64": _swap(secrets, "spellings", _base64_alone),
    "keys in URLs": _swap(hygiene, "mask_userinfo", str),
    "MaskingFormatter": _swap(logs.MaskingFormatter, "format", _plain_format),
    "pydantic's input in logs": _swap(logs, "_INPUT", re.compile(r"(?!)")),
    "libraries that log messages": _swap(sys.modules["support.secrets_sweep"], "log_to_stderr", _chatty),
    "hide_input_in_errors": _show_input,
    "our own words instead of pydantic's": _swap(validate, "_problem", _pydantic_text),
    "SecretStr in arguments": _open_arguments,
    "no repr of a request's body": _swap(Request, "__repr__", _whole_request),
}


@contextmanager
def without(mask: str) -> Generator[None]:
    with ExitStack() as stack:
        MASKS[mask](stack)
        yield


def noticed(mask: str) -> str | None:
    """Where the sweep first saw a mark without this mask; None where it saw none."""
    with without(mask):
        leaks = asyncio.run(sweep(stop=True)).leaks
    return leaks[0].where if leaks else None


def main() -> int:
    whole = asyncio.run(sweep())
    print(f"all masks on: {whole.looks} looks, {len(whole.leaks)} leaks")
    unseen = 0
    for mask in MASKS:
        where = noticed(mask)
        unseen += where is None
        print(f"without {mask:<46} {'seen at ' + where if where else 'NOT SEEN'}", flush=True)
    return 1 if unseen or whole.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
