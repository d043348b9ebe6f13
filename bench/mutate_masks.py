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
from typing import Any
from unittest.mock import patch

from pydantic import SecretStr, ValidationError
from pydantic_core import to_json

from paperspace_storage_server.api import storage as api
from paperspace_storage_server.calls import call, service, validate
from paperspace_storage_server.guard import hygiene, secrets
from paperspace_storage_server.process import logs
from paperspace_storage_server.wire.messages import Request
from paperspace_storage_tools import arguments, catalogue
from support.guarded import API_KEY, PROFILES
from support.secrets_sweep import sweep

Mutation = Callable[[ExitStack], None]


def _swap(target: Any, name: str, value: Any) -> Mutation:
    return lambda stack: stack.enter_context(patch.object(target, name, value))


def _result_of(caller: str) -> Mutation:
    """`Hygiene.result` does nothing when that function of the service calls it."""
    real = hygiene.Hygiene.result

    def result(self: hygiene.Hygiene, value: hygiene.Json) -> tuple[hygiene.Json, str]:
        if sys._getframe(1).f_code.co_name == caller:  # pyright: ignore[reportPrivateUsage]  # the one way to know the caller
            return value, to_json(value).decode()
        return real(self, value)

    return _swap(hygiene.Hygiene, "result", result)


def _keep_without(*lost: str) -> Mutation:
    real = secrets.Vault.keep

    def keep(self: secrets.Vault, secret: SecretStr) -> None:
        if secret.get_secret_value() not in lost:
            real(self, secret)

    return _swap(secrets.Vault, "keep", keep)


def _forget_answers(stack: ExitStack) -> None:
    real = api.PaperspaceStorage

    def deaf(upstream: Any, budget: Any, learn: Any, notice: Any) -> Any:
        del learn
        return real(upstream, budget, lambda _: None, notice)

    stack.enter_context(patch.object(call, "PaperspaceStorage", deaf))


def _open_arguments(stack: ExitStack) -> None:
    """Secret arguments are plain text in whatever shows the arguments: the audit file."""
    real = arguments.Arguments.model_dump

    def dump(self: arguments.Arguments, **how: Any) -> dict[str, Any]:
        opened = {name: value.get_secret_value() for name, value in vars(self).items() if isinstance(value, SecretStr)}
        return {**real(self, **how), **opened}

    stack.enter_context(patch.object(arguments.Arguments, "model_dump", dump))
    _result_of("_run")(stack)


def _show_input(stack: ExitStack) -> None:
    for tool in catalogue.CATALOGUE:
        stack.callback(tool.arguments.model_rebuild, force=True)  # runs after the setting is back
        stack.enter_context(patch.dict(tool.arguments.model_config, {"hide_input_in_errors": False}))
        tool.arguments.model_rebuild(force=True)


def _pydantic_text(error: ValidationError, model: object) -> list[str]:
    del model
    return [str(one) for one in error.errors()]


def _plain_format(self: logs.MaskingFormatter, record: logging.LogRecord) -> str:
    return logging.Formatter.format(self, record)


def _whole_request(self: Request) -> str:
    return f"{self.body!r}"


def _chatty(level: str, vault: secrets.Vault) -> None:
    _real_log(level, vault)
    for name in ("httpx", "mcp"):
        logging.getLogger(name).setLevel(logging.DEBUG)


_real_log = logs.log_to_stderr

# The lambdas below stand in for methods of other types, so their parameters have none.
MASKS: dict[str, Mutation] = {
    "Hygiene.result of an answer": _result_of("_succeeded"),
    "Hygiene.result of the audit file's arguments": _result_of("_run"),
    "Hygiene.failure": _swap(hygiene.Hygiene, "failure", lambda self, text: text),  # pyright: ignore[reportUnknownLambdaType]
    "Hygiene.shown (questions)": _swap(hygiene.Hygiene, "shown", lambda self, text: text),  # pyright: ignore[reportUnknownLambdaType]
    "cleaning before masking": _swap(hygiene, "clean", str),
    "secret arguments learned": _swap(service, "SecretStr", type("Nothing", (), {})),
    "secrets in answers learned": _forget_answers,
    "the API key kept": _keep_without(API_KEY),
    "profiles' keys kept": _keep_without(*PROFILES["team"]),
    "parts of secrets in failures and logs": _swap(secrets.Vault, "mask_parts", secrets.Vault.mask),
    "whole secrets in results": _swap(secrets.Vault, "mask", lambda self, text: text),  # pyright: ignore[reportUnknownLambdaType]
    "the quick look of a result": _swap(secrets.Vault, "touches", lambda self, text: False),  # pyright: ignore[reportUnknownLambdaType]
    "encoded spellings": _swap(secrets, "_spellings", lambda secret: (secret,)),  # pyright: ignore[reportUnknownLambdaType]
    "keys in URLs": _swap(hygiene, "mask_userinfo", str),
    "MaskingFormatter": _swap(logs.MaskingFormatter, "format", _plain_format),
    "pydantic's input in logs": _swap(logs, "_INPUT", re.compile(r"(?!)")),
    "libraries that log messages": _swap(sys.modules["support.secrets_sweep"], "log_to_stderr", _chatty),
    "hide_input_in_errors": _show_input,
    "our own words instead of pydantic's": _swap(validate, "_problems", _pydantic_text),
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
