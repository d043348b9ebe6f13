"""Logging to stderr, with every known secret masked: messages, arguments and tracebacks alike."""

from __future__ import annotations

import logging
import re
import sys

from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_tools.text import clean

_INPUT = re.compile(r"input_value=.*?(?=, input_type=|$)", re.MULTILINE)
"""pydantic quotes what it was given, which may be a secret that nobody has learned yet."""


class MaskingFormatter(logging.Formatter):
    """Formats as usual, then cleans and masks the whole, traceback included."""

    def __init__(self, vault: Vault) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._vault = vault

    def format(self, record: logging.LogRecord) -> str:
        text = _INPUT.sub("input_value=[hidden]", super().format(record))
        return self._vault.mask_parts("\n".join(clean(line) for line in text.split("\n")))


def log_to_stderr(level: str, vault: Vault) -> None:
    """One handler for this process. Libraries that log what they send or receive stay at warning, whatever `level`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter(vault))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "asyncio", "urllib3", "mcp", "sse_starlette"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
