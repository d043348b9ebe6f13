"""What travels through a client and comes back: small JSON that nobody else can read, change, keep or use elsewhere.

AES-256-GCM under keys that the replicas share. The first key seals, all of them open, so that keys can be changed while
what the old one has sealed is still under way. To be used once, what was opened is spent in the store (`Opened.id`).
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | dict[str, JsonValue] | None"

LARGEST = 16_384
"""Characters of a sealed text; what is longer is not looked at."""
_NONCE = 12  # bytes
_KEY = 32  # bytes
_FORM = b"paperspace-mcp 1"


class NotSealedHere(Exception):
    """The text is not one of ours for this purpose and this owner, or it was altered."""


class SealExpired(Exception):
    """It was ours, and its time is over."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed; an id that no other sealing has, and the seconds for which it can still be opened.

    `by_former_key`: by one that seals nothing any more, so that what is to last has to be sealed again.
    """

    content: dict[str, JsonValue]
    id: str
    left: float
    by_former_key: bool = False


class Sealer:
    """Seals and opens. `owner` is who a text was made for: team, principal, session, whatever must be the same."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        """`keys`: of 32 bytes each, one at least."""
        if not keys or any(len(key) != _KEY for key in keys):
            raise ValueError("keys of 32 bytes each, one at least")
        self._keys = [AESGCM(key) for key in keys]
        self._clock = clock  # wall-clock time: replicas share it, roughly

    def seal(self, purpose: str, owner: tuple[str, ...], content: dict[str, JsonValue], seconds: float) -> str:
        """The content as text fit for a URL, which opens for `seconds`, for this purpose and owner only."""
        nonce = os.urandom(_NONCE)
        # ASCII, so that a lone surrogate in a name is carried too.
        plain = json.dumps([self._clock() + seconds, content], separators=(",", ":")).encode("ascii")
        sealed = nonce + self._keys[0].encrypt(nonce, plain, _bound(purpose, owner))
        return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")

    def open(self, text: str, purpose: str, owner: tuple[str, ...]) -> Opened:
        """What was sealed.

        Raises:
            NotSealedHere: it is none of ours, or for another purpose or owner.
            SealExpired: too late.
        """
        nonce, sealed = _parts(text)
        bound = _bound(purpose, owner)
        for key in self._keys:
            try:
                plain = key.decrypt(nonce, sealed, bound)
            except InvalidTag:
                continue
            until, content = cast("tuple[float, dict[str, JsonValue]]", json.loads(plain))
            left = until - self._clock()
            if left <= 0:
                raise SealExpired
            return Opened(content, nonce.hex(), left, key is not self._keys[0])
        raise NotSealedHere


def _parts(text: str) -> tuple[bytes, bytes]:
    if len(text) > LARGEST or not text.isascii():
        raise NotSealedHere
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise NotSealedHere from None
    # One spelling only: else the unused bits of the last character would make a used text look new.
    if base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=") != text or len(raw) <= _NONCE:
        raise NotSealedHere
    return raw[:_NONCE], raw[_NONCE:]


def _bound(purpose: str, owner: tuple[str, ...]) -> bytes:
    """The associated data: no part can imitate another, for each is preceded by its length."""
    parts = (purpose, *owner)
    return _FORM + "".join(f"|{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")


def keys_of(texts: Sequence[str]) -> list[bytes]:
    """The keys of a setting, each 64 hex digits. Raises `ValueError`."""
    return [bytes.fromhex(text) for text in texts]


def derived_key(secret: str) -> bytes:
    """A key made of another secret that the replicas have anyway, where the operator has set none."""
    return HKDF(SHA256(), _KEY, salt=None, info=_FORM).derive(secret.encode("utf-8", "surrogatepass"))


def local_keys(file: Path, say: Callable[[str], None]) -> list[bytes]:
    """The key of a server on one's own machine, kept in a file of its owner's alone, and made where there is none.

    Where that is not possible the key lasts as long as the process, which is `said`.
    """
    try:
        return [_read(file) or _make(file)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        say(
            f"{file} cannot be used ({reason}): what this process seals, such as the ids of tasks, cannot be opened "
            "after it has ended. Mend or remove that file."
        )
        return [os.urandom(_KEY)]


def _read(file: Path) -> bytes | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as content:
        if os.name != "nt" and os.fstat(content.fileno()).st_mode & 0o077:
            raise ValueError("others can read it")
        key = bytes.fromhex(content.read(2 * _KEY + 2).decode("ascii").strip())
    if len(key) != _KEY:
        raise ValueError("not a key of 64 hex digits")
    return key


def _make(file: Path) -> bytes:
    """A new key; where another process makes one at the same time, the one that came first."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as content:
            content.write(os.urandom(_KEY).hex() + "\n")
            content.flush()
            os.fsync(content.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)  # whole, or not at all, and never over another's
    finally:
        draft.unlink()
    key = _read(file)
    if key is None:
        raise ValueError("it was taken away at once")
    return key
