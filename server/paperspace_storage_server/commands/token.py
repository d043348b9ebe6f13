"""The command `token`: static tokens for a hosted server, made, listed and revoked in its tokens file."""

from __future__ import annotations

import re
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import cast, get_args

_DURATION = re.compile(r"([1-9]\d{0,4})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_FILE = "PAPERSPACE_MCP_TOKENS_FILE"


def add(parser: ArgumentParser) -> None:
    does = parser.add_subparsers(dest="does", metavar="WHAT", required=True)
    new = does.add_parser("new", help="make a token and print it, once", allow_abbrev=False)
    new.add_argument("--name", required=True, help="what the audit and the logs call its bearer (no variable)")
    new.add_argument("--team", help="the team it acts for, of the teams file (no variable)")
    new.add_argument(
        "--scopes",
        metavar="A,B",
        default="storage:read",
        help="storage:read (default), storage:write, storage:destroy; each implies those before (no variable)",
    )
    new.add_argument(
        "--expires", metavar="30d", help="after so many m, h, d or w; or `never` (no variable)", default="30d"
    )
    listing = does.add_parser("list", help="the tokens there are, without the tokens", allow_abbrev=False)
    revoke = does.add_parser(
        "revoke", help="take a token's right away, within 10 s at every replica", allow_abbrev=False
    )
    revoke.add_argument("name", metavar="NAME")
    for one in (new, listing, revoke):
        one.add_argument("--tokens-file", metavar="FILE", help=f"the file [{_FILE}]")
    parser.epilog = (
        "A running server sees the change by itself. The file holds hashes: a token that is lost is made anew."
    )


def run(options: Namespace) -> int:
    from paperspace_storage_server.hosted import static_tokens
    from paperspace_storage_server.hosted.watched import Unreadable
    from paperspace_storage_server.settings import SettingsError

    file = _file_of(options)
    try:
        if options.does == "new":
            print(_make(file, options))
        elif options.does == "revoke":
            static_tokens.revoke(file, options.name)
            print(f"Revoked: {options.name}", file=sys.stderr)
        else:
            _list(file)
    except static_tokens.NameTaken:
        raise SettingsError("--name: there is a token of that name; revoke it first, or choose another") from None
    except static_tokens.NoSuchToken:
        raise SettingsError("NAME: there is no token of that name; `token list` shows what there is") from None
    except Unreadable as error:
        raise SettingsError(f"{_FILE} (--tokens-file): {error.why}") from None
    except OSError as error:
        raise SettingsError(f"{_FILE} (--tokens-file): cannot be written ({error.strerror})") from None
    return 0


def _file_of(options: Namespace) -> Path:
    from paperspace_storage_server.settings import SettingsError, load_settings

    file = load_settings({"tokens_file": options.tokens_file}).tokens_file
    if file is None:
        raise SettingsError(f"{_FILE} (--tokens-file): not set; name the file that the server reads")
    return file


def _make(file: Path, options: Namespace) -> str:
    from paperspace_storage_server.calls.principal import SCOPES, Scope
    from paperspace_storage_server.hosted import static_tokens
    from paperspace_storage_server.settings import SettingsError

    if not re.fullmatch(static_tokens.NAME, options.name):
        raise SettingsError("--name: expected up to 64 letters, digits, dots, dashes, underscores, @")
    scopes = [word.strip() for word in options.scopes.split(",") if word.strip()]
    if not scopes or not set(scopes) <= set(get_args(Scope)):
        raise SettingsError(f"--scopes: expected a comma list of {', '.join(SCOPES)}")
    now = time.time()
    return static_tokens.make(
        file, options.name, options.team, cast("list[Scope]", scopes), _end(options.expires, now), now
    )


def _end(text: str, now: float) -> float | None:
    from paperspace_storage_server.settings import SettingsError

    if text == "never":
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise SettingsError("--expires: expected a number of m, h, d or w, such as 30d, or never")
    return now + int(found[1]) * _SECONDS[found[2]]


def _list(file: Path) -> None:
    from paperspace_storage_server.hosted.static_tokens import listed, when

    tokens = listed(file)
    if not tokens:
        print("There are no tokens.", file=sys.stderr)
        return
    now = time.time()
    width = max(4, *(len(token.name) for token in tokens))
    team = max(4, *(len(token.team or "-") for token in tokens))
    print(f"{'name':<{width}}  {'team':<{team}}  {'made (UTC)':<16}  {'expires (UTC)':<16}  scopes")
    for token in tokens:
        end = "never" if token.expires is None else when(token.expires)
        note = "  EXPIRED" if token.expires is not None and token.expires <= now else ""
        print(
            f"{token.name:<{width}}  {token.team or '-':<{team}}  {when(token.created):<16}  {end:<16}  "
            f"{','.join(token.scopes)}{note}"
        )
